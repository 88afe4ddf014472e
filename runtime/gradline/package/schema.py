"""Check the types of a manifest's members, so that other code can rely on them.

Other members are ignored, so that a later gradline can add some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValueType:
    """A type of value, with its name in messages."""

    name: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Each:
    """An object with any names, whose values are all of one type."""

    type: Any


@dataclass(frozen=True)
class Maybe:
    """A value that may be null."""

    type: Any


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)  # `strict_json` refuses NaN and infinity


TEXT = ValueType("text", lambda value: isinstance(value, str))
TRUTH = ValueType("true or false", lambda value: isinstance(value, bool))
COUNT = ValueType("a whole number", lambda value: type(value) is int and abs(value) < 2**63)
NUMBER = ValueType("a number", _is_number)
FIGURE = ValueType("a number or null", lambda value: value is None or _is_number(value))
SCALAR = ValueType(
    "text, a number, true, false or null",
    lambda value: value is None or isinstance(value, str | bool) or _is_number(value),
)
PENALTY = ValueType("a number or text", lambda value: isinstance(value, str) or _is_number(value))

TRAINING = {
    "options": {"bias": TRUTH, "epochs": COUNT, "preconditioning": TEXT, "ridge": PENALTY},
    "ridge_path": Maybe({"chosen": NUMBER, "folds": COUNT, "penalties": [NUMBER]}),
    "learning_rate": FIGURE,
    "largest_stable_rate": FIGURE,
    "gradient": TEXT,
    "arithmetic": TEXT,
    "arithmetic_reason": TEXT,
    "sample_weight": Maybe(TEXT),
    "epochs": COUNT,
    "first_loss": FIGURE,
    "last_loss": FIGURE,
    "rows": dict.fromkeys(("read", "dropped", "held_out", "trained"), COUNT),
    "files": [{"name": TEXT}],
    "moments": {"name": TEXT},
    "versions": Each(TEXT),
    "notes": Each(TEXT),
    "warnings": [TEXT],
    "columns": [{"column": TEXT, "what": TEXT, "flag": TEXT, "taken": TRUTH}],
}
COLUMN = dict.fromkeys(("mean", "deviation", "minimum", "maximum"), FIGURE)
ERRORS = ("rmse", "mae", "r2", "rmse_log", "r2_log")  # the last two of logged targets alone
METRICS = Each(Maybe(Each(dict.fromkeys(ERRORS, FIGURE))))
FIT = ("residual_sd", "r2", "adjusted_r2", "f", "f_p", "log_likelihood", "aic", "bic")
COEFFICIENT = ("standard_error", "t", "p")
STATISTICS = {
    "model_dof": COUNT,
    "residual_dof": COUNT,
    "robust": TEXT,
    "terms": [TEXT],
    "vif": Maybe([FIGURE]),
    "targets": Each(dict.fromkeys(FIT, FIGURE) | {key: [FIGURE] for key in COEFFICIENT}),
}
CERTIFICATES = {
    "float32": {"verdict": TEXT, "target": TEXT, "error": FIGURE, "limit": FIGURE, "column": TEXT},
    "optimality": {
        "converged": TRUTH,
        **dict.fromkeys(("gap", "rmse_at_optimum", "weights_error"), FIGURE),
    },
    "exact": {"coefficients": COUNT, "certified": COUNT},
}
ORIGIN = {
    "learned": TEXT,
    "with": Maybe({"library": TEXT, "class": TEXT, "version": TEXT, "parameters": Each(SCALAR)}),
    "weights": TEXT,
    "versions": Each(TEXT),
    "notes": Each(TEXT),
}
#: The manifest's optional members; `manifest` checks the required ones.
MEMBERS = {
    "origin": ORIGIN,
    "training": TRAINING,
    "columns": Each(COLUMN),
    "metrics": METRICS,
    "statistics": STATISTICS,
    "leverage": {"limit": NUMBER, "rule": TEXT, "least": NUMBER, "factor": [[NUMBER]]},
    "intervals": {
        "degrees_of_freedom": COUNT,
        "residual_deviation": Each(NUMBER),
        "quantiles": Each(NUMBER),
    },
    "parity": {"rows": COUNT, "bound": TEXT, "within": [TEXT]},
    "certificates": CERTIFICATES,
}


def fault(value: Any, expected: Any = MEMBERS, place: str = "") -> str | None:
    """Find the first wrong value at a place of a manifest; return None if all are right."""
    if isinstance(expected, ValueType):
        return None if expected.holds(value) else _not(expected.name, place)
    if isinstance(expected, Maybe):
        return None if value is None else fault(value, expected.type, place)
    if isinstance(expected, list):
        if not isinstance(value, list):
            return _not("a list", place)
        return next(filter(None, (fault(item, expected[0], place) for item in value)), None)
    if not isinstance(value, dict):
        return _not("an object", place)
    types = dict.fromkeys(value, expected.type) if isinstance(expected, Each) else expected
    names = (name for name in types if name in value)
    faults = (fault(value[n], types[n], f"{place}.{n}" if place else n) for n in names)
    return next(filter(None, faults), None)


def _not(what: str, place: str) -> str:
    return f"{place[:100]!r} is not {what}"
