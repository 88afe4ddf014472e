"""Targets learned as logarithms: the graph answers z, and the host exp(z) times a scale.

Predictions of log(y), turned back, are too small on average. The scale makes the predictions of the
training rows and their targets have the same sum (Duan's smearing estimate, 1983, as a ratio).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gradline.columns.terms import Factor, name_of

LogFunction = Literal["log", "log1p"]
SCALED_FROM = ("rows", "moments")


@dataclass(frozen=True)
class TargetFunction:
    """The function whose value the graph predicts for one target.

    Attributes:
        function: "log" or "log1p".
        scale: The factor s of exp(z).
        scale_from: Whether s comes from the training "rows" or from their "moments" alone.
    """

    function: LogFunction
    scale: float
    scale_from: Literal["rows", "moments"]

    @property
    def offset(self) -> float:
        """What is subtracted from exp(z)·s: 1 for log1p."""
        return 1.0 if self.function == "log1p" else 0.0

    def units(self, z: NDArray[Any], *, scaled: bool = True) -> NDArray[np.float64]:
        """Compute exp(z)·s − offset in float64; without s for the ends of intervals."""
        with np.errstate(all="ignore"):
            found: NDArray[np.float64] = np.exp(z.astype(np.float64))  # of a copy without gaps
            return found * (self.scale if scaled else 1.0) - self.offset


Functions = Sequence[TargetFunction | None]


def in_units(z: NDArray[Any], functions: Functions, *, scaled: bool = True) -> NDArray[Any]:
    """Convert the graph's answers, shape (n, k), to the targets' units, in the same dtype."""
    if not any(functions):
        return z
    found = z.copy()
    with np.errstate(over="ignore"):  # of the cast
        for j, function in enumerate(functions):
            if function is not None:
                found[:, j] = function.units(z[:, j], scaled=scaled)
    return found


def learned_name(target: str, function: str | None) -> str:
    """Name what the graph answers for a target: the target, or `log(price)`."""
    return target if function is None else name_of((Factor(target, function),))


def learned_names(targets: Sequence[str], functions: Functions) -> list[str]:
    """Name what the graph answers for each target; without functions, the targets."""
    if not any(functions):
        return list(targets)
    return [
        learned_name(target, None if function is None else function.function)
        for target, function in zip(targets, functions, strict=True)
    ]


def dump_functions(functions: Functions) -> list[dict[str, Any] | None] | None:
    """Build `schema.target_functions`; None if no target has a function."""
    if not any(functions):
        return None
    return [None if function is None else asdict(function) for function in functions]


def load_functions(document: Any, targets: int) -> list[TargetFunction | None]:
    """Parse what `dump_functions` built; raise ValueError for anything else."""
    if document is None:
        return [None] * targets
    if not isinstance(document, list) or len(document) != targets or not any(document):
        raise ValueError("not one function or null for each target")
    return [None if entry is None else _load(entry) for entry in document]


def _load(entry: Any) -> TargetFunction:
    if not isinstance(entry, dict) or set(entry) != {"function", "scale", "scale_from"}:
        raise ValueError("an entry is not of the form {function, scale, scale_from}")
    if entry["function"] not in ("log", "log1p") or entry["scale_from"] not in SCALED_FROM:
        raise ValueError(f"the function {entry['function']!r} is not known")
    scale = entry["scale"]
    if type(scale) is not float or not math.isfinite(scale) or scale <= 0:
        raise ValueError("a scale is not a positive number")
    return TargetFunction(**entry)
