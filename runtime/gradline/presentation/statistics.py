"""Show a fit's coefficients and statistics: those of a summary, or of a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradline.formatting import chance, count, label, number, to_error
from gradline.terminal.layout import Element, Grid, as_text


def statistics_lines(found: Mapping[str, Any]) -> list[str]:
    """Tabulate each target's coefficients, with two lines on how well they fit; see `of_target`."""
    parts: list[Element] = []
    learned = found.get("learned", found["targets"])
    for target, known in zip(learned, found["targets"].values(), strict=True):
        parts += [*of_target(target, known, found, range(len(found["terms"]))), ""]
    return as_text(parts[:-1]).split("\n")


def of_target(
    target: str, known: Mapping[str, Any], found: Mapping[str, Any], terms: Sequence[int]
) -> list[Element]:
    """Tabulate a target's coefficients, with two lines on how well they fit if that is known.

    `known` holds the lists coefficient, standard_error, t, p and the fit's statistics; `found`
    holds model_dof, residual_dof, terms. Optional: level, with the lists lower and upper; robust,
    the name of robust standard errors; vif by term; bias (default True) and weighted (default
    False). `terms` are the indices of the terms to show, in this order.
    """
    known = {**known, "vif": found["vif"]} if found.get("vif") else known
    columns = _columns(found, known)
    rows = [
        [label(found["terms"][j]), *(_cell(member, j, known) for member in columns.values())]
        for j in terms
    ]
    more = len(found["terms"]) - len(rows)
    rest = [f"  … ({count(more, 'more feature')})"] if more else []
    fit = ["", *_undetermined(known, found), *_fit(known, found)] if "residual_dof" in found else []
    return [Grid([[label(target), *columns], *rows]), *rest, *fit]


def _undetermined(known: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Explain why some coefficients have no standard error, if others have one."""
    errors = known["standard_error"]
    if found["residual_dof"] <= 0 or None not in errors or errors.count(None) == len(errors):
        return []
    return ["  no standard error: the column is constant, or linearly dependent on others"]


def _cell(member: str, j: int, known: Mapping[str, Any]) -> str:
    value = known[member][j]
    if member == "p":
        return chance(value)
    if member in ("coefficient", "lower", "upper") and "standard_error" in known:
        return to_error(value, known["standard_error"][j])
    return number(value)


def _columns(found: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    """Map the heads of the columns to the members that they show."""
    robust = found.get("robust")
    error = f"{robust} error" if robust else "standard error"
    heads = {"coefficient": "coefficient", error: "standard_error", "t": "t", "p": "p"}
    if "level" in found:
        tail = 50 * (1 - found["level"])
        heads |= {f"{tail:g} %": "lower", f"{100 - tail:g} %": "upper"}
    heads |= {"standardized": "standardized", "VIF": "vif"}
    return {head: member for head, member in heads.items() if member in known}


def r_squared(value: float | None) -> str:
    """Format an R² to six decimals."""
    return "–" if value is None else f"{value:.6f}"


def criterion(value: float | None) -> str:
    """Format a log-likelihood, AIC or BIC to one decimal, because differences count."""
    return "–" if value is None else f"{value:,.1f}"


def _fit(known: Mapping[str, Any], found: Mapping[str, Any]) -> list[Element]:
    model, dof = found["model_dof"], found["residual_dof"]
    r2, adjusted = r_squared(known["r2"]), r_squared(known["adjusted_r2"])
    share = "R²" if found.get("bias", True) else "R² about 0, as there is no bias,"
    if dof <= 0:
        return [f"  {share} {r2}; no degree of freedom is left: nothing else is defined"]
    deviation = known["residual_sd"]
    weighted = " of a row of weight 1" if found.get("weighted") else ""
    said = [
        f"  residual standard deviation {number(deviation)}{weighted} with "
        f"{count(dof, 'degree')} of freedom; {share} {r2}, adjusted {adjusted}"
    ]
    if deviation == 0:
        return [*said, "  a perfect fit: tests and likelihood are not defined"]
    test = f"F({model}, {dof}) {number(known['f'])}, p {chance(known['f_p'])}"
    likelihood, aic, bic = map(criterion, (known["log_likelihood"], known["aic"], known["bic"]))
    return [*said, f"  {test}; log-likelihood {likelihood}, AIC {aic}, BIC {bic}"]
