"""Build the columns and terms of a package from the products in a pipeline's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradline.columns.encoding import in_order
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Term
from gradline_export.elsewhere.folding.sums import Product, fills_of, term_of
from gradline_export.elsewhere.folding.table import Step, Table
from gradline_trainer.terms.blocks import check_names

KEPT = "keep the column in one of its roles: copy it in the table for the other"


def plan_of(
    products: Sequence[Product], table: Table, last: Step
) -> tuple[Plan, dict[Term, Product]]:
    """Build the plan, and the product of each of its terms.

    Raises:
        InputError: For a column of two kinds or with two fill values ("pipeline-steps"), and two
            terms of one name ("name-clash").
    """
    columns = _columns(products, table, last)
    places = {name: place for place, name in enumerate(table.names)}
    terms: dict[Term, Product] = {}
    for product in products:
        term = term_of(product, places)
        if term is None:
            raise last.refused("a term has a power above 6", "lower the degree of the polynomials")
        terms[term] = product
    order = sorted(terms, key=lambda term: (len(term) > 1, places[term[0].column]))
    check_names(order)
    used = {factor.column for term in order for factor in term}
    kept = [column for column in columns if column.name in used]
    simple = Plan.of_columns([replace(c, levels=in_order(c.levels)) for c in kept])
    is_simple = not any(column.missing or column.rare for column in kept)
    if is_simple and set(simple.terms) == set(order):
        return simple, {term: terms[term] for term in simple.terms}
    return Plan(tuple(kept), tuple(order)), {term: terms[term] for term in order}


def _columns(products: Sequence[Product], table: Table, last: Step) -> list[Column]:
    """Describe all columns: categories, and numbers with their fill values."""
    found = []
    fills = fills_of(products)
    for name in table.names:
        values = fills.get(name, set())
        category = table.categories.get(name)
        if category is not None and values:
            raise last.refused(
                f"the column {name!r} is a number in one step and encoded in another", KEPT
            )
        if len(values) > 1:
            shown = " and ".join("nothing" if v is None else f"{v:g}" for v in values)
            raise last.refused(f"missing values of {name!r} are filled with {shown}", KEPT)
        found.append(category or Column(name, fill=next(iter(values), None)))
    return found
