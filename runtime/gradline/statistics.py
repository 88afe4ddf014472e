"""A fit's statistics as people read them: of a summary, or of a package's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradline.wording import aligned, count, label, number

__all__ = ["statistics_lines"]


def statistics_lines(found: Mapping[str, Any]) -> list[str]:
    """Return for each target a table of its coefficients and two lines on how well they fit.

    Args:
        found: With model_dof, residual_dof, terms, and by target the lists coefficient,
            standard_error, t, p and the fit's statistics; lower and upper where there is a level;
            robust where the standard errors are.
    """
    lines: list[str] = []
    for target, of_target in found["targets"].items():
        lines += [*_coefficients(target, of_target, found), "", *_fit(of_target, found), ""]
    return lines[:-1]


def _coefficients(target: str, of_target: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    robust = found.get("robust")
    error = f"{robust} error" if robust else "standard error"
    columns = {"coefficient": "coefficient", error: "standard_error", "t": "t", "p": "p"}
    if "level" in found:
        tail = 50 * (1 - found["level"])
        columns |= {f"{tail:g} %": "lower", f"{100 - tail:g} %": "upper"}
    cells = [map(number, of_target[member]) for member in columns.values()]
    rows = zip(map(label, found["terms"]), *cells, strict=True)
    return aligned([[label(target), *columns], *map(list, rows)])


def _fit(of_target: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    model, dof = found["model_dof"], found["residual_dof"]
    r2, adjusted = (
        "–" if value is None else f"{value:.6f}"
        for value in (of_target["r2"], of_target["adjusted_r2"])
    )
    if dof <= 0:
        return [f"  R² {r2}; no degree of freedom is left: nothing else is defined"]
    deviation = of_target["residual_sd"]
    said = [
        f"  residual standard deviation {number(deviation)} with "
        f"{count(dof, 'degree')} of freedom; R² {r2}, adjusted {adjusted}"
    ]
    if deviation == 0:
        return [*said, "  a perfect fit: tests and likelihood are not defined"]
    test = f"F({model}, {dof}) {number(of_target['f'])}, p {number(of_target['f_p'])}; "
    criteria = ", ".join(
        f"{name} {number(of_target[member])}"
        for name, member in (("log-likelihood", "log_likelihood"), ("AIC", "aic"), ("BIC", "bic"))
    )
    return [*said, f"  {test}{criteria}"]
