"""What a person should know before they trust a fit."""

from __future__ import annotations

from gradline.wording import count
from gradline_trainer.columns import Columns
from gradline_trainer.diagnosis import Optimality
from gradline_trainer.exact_loss import ExactSolution
from gradline_trainer.problem import Problem
from gradline_trainer.rows import RowReader

__all__ = ["advise", "advise_on_columns"]

NEARLY_DEPENDENT = 1e-4  # what is left of a feature's unit deviation beside earlier features


def advise(
    reader: RowReader,
    problem: Problem,
    unfinished: Optimality | None,
    exact: ExactSolution | None,
) -> list[str]:
    """Return the warnings of a run, one sentence each.

    Args:
        reader: After its pass over the table.
        problem: With the features that were left out.
        unfinished: How far from the optimum a run ended that did not converge, else None.
        exact: What exact arithmetic found, if it was used.
    """
    columns: Columns = reader.columns
    found = advise_on_columns(reader, problem.constant, problem.dependent)
    if unfinished is not None:
        found.append(
            f"stopped before the optimum: the loss is {unfinished.loss:.4g}, "
            f"{unfinished.gap:.4g} above its least value (RMSE at the optimum "
            f"{unfinished.rmse_at_optimum:.4f}); gradient norm {unfinished.gradient_norm:.3g}; "
            + _way_on(reader, problem, unfinished)
        )
    if exact is not None and exact.uncertified:
        inputs = [*columns.features, "the bias"]
        t, j = exact.uncertified[0]
        found.append(
            f"{count(len(exact.uncertified), 'coefficient')} could not be certified as correctly "
            f"rounded, the first of {inputs[j]!r} for {columns.targets[t]!r}: give more --epochs, "
            "or leave out a feature that is nearly a linear combination of others"
        )
    return found


def advise_on_columns(reader: RowReader, constant: list[int], dependent: list[int]) -> list[str]:
    """Return the warnings of the columns and rows that a run leaves out.

    Args:
        reader: After its pass over the table.
        constant: Places of features that have one value only.
        dependent: Places of features that are linear in earlier ones.
    """
    columns = reader.columns

    def named(places: list[int]) -> str:
        names = [repr(columns.features[j]) for j in places]
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")

    found = []
    if columns.left_out:
        names = ", ".join(map(repr, columns.left_out))
        found.append(f"left out, since they hold no numbers: {names}")
    if reader.filled:
        found.append(f"{count(reader.filled, 'missing value')} filled with the training mean")
    if reader.unknown:
        found.append(
            f"{reader.unknown} of the dropped rows were to be held out, but have a category that "
            "no training row has"
        )
    if reader.dropped:
        found.append(
            f"{reader.dropped} of {reader.read} rows dropped for missing values"
            + " or unknown categories" * bool(reader.unknown)
        )
    if constant:
        found.append(f"constant, so their weight is 0: {named(constant)}")
    if dependent:
        found.append(
            "linearly dependent on earlier features (or more than the rows can tell apart), so "
            f"their weight is 0: {named(dependent)}"
        )
    return found


def _way_on(reader: RowReader, problem: Problem, unfinished: Optimality) -> str:
    """Return how a run that stopped before the optimum gets there."""
    go = unfinished.epochs_to_go
    further = "it can't get there at this rate"
    if go is not None:
        further = f"about {count(_rounded_up(go), 'more epoch')}"
    if reader.options.preconditioning != "whiten":
        return f"{further}, or --preconditioning whiten"
    weakest = int(problem.factor.diagonal().argmin())
    if float(problem.factor[weakest, weakest]) > NEARLY_DEPENDENT:
        return further
    name = reader.columns.features[int(problem.active[weakest])]
    return (
        f"float64 moments can't get nearer, since {name!r} is nearly a linear combination of "
        "earlier features: leave it out, or give a --ridge penalty"
    )


def _rounded_up(epochs: int) -> int:
    """Return an estimate to two significant digits, not below it."""
    unit = int(10 ** max(0, len(str(epochs)) - 2))
    return -(-epochs // unit) * unit
