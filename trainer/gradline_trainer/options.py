"""What a training run may be asked for, checked before any row is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal

from gradline.errors import InputError, nearest

__all__ = ["Options", "check_arguments"]

CHOICES = {
    "preconditioning": ("none", "standardize", "whiten"),
    "gradient": ("auto", "rows", "moments"),
    "arithmetic": ("auto", "fast", "exact"),
    "dtype": ("auto", "float32", "float64"),
    "missing": ("error", "drop", "mean"),
    "device": ("cpu", "cuda", "auto"),
    "dependent": ("minimum-norm", "drop"),
}
NEWER = ("dependent",)  # options missing from the first packages of format 1
FOLDS = 5
ROBUST = ("HC0", "HC1", "HC2", "HC3")
MOST_FOLDS = 1_000  # each one's moments are held in memory


@dataclass(frozen=True)
class Options:
    """The options of `fit` and of `train-and-export`.

    Attributes:
        epochs: The most steps that the loop takes.
        learning_rate: A positive number, or "auto" for 1/λmax of the Hessian in the coordinates
            that the loop runs in.
        momentum: Nesterov's, at least 0 and below 1; "auto" is 0, and on wide tables k/(k + 3) with
            restarts.
        tolerance: The loop stops when the bound on the loss gap is below tolerance · loss; 0 runs
            every epoch.
        seed: Of the first weights (without preconditioning; else they start at 0), the holdout and
            the folds.
        preconditioning: The coordinates that the loop runs in.
        gradient: Where loss and gradient come from; "auto" takes the rows without preconditioning
            and the moments otherwise.
        arithmetic: "fast" is float64; "exact" gives the correctly rounded solution; "auto" is exact
            on small and on ill-conditioned tables, by a fixed formula of their shape.
        ridge: The penalty on the weights, scikit-learn's `alpha`; never on the bias. "auto" lets
            cross-validation choose it: see `gradline_trainer.descent.ridge_path`.
        folds: Of that cross-validation, 5 unless given; None with a penalty that is a number.
        bias: Whether there is a bias.
        dtype: Of the published graph; "auto" is float32 where its certificate allows.
        missing: What a missing value does: "error", "drop" its row, or, for a number among the
            features, be filled with the "mean" of the training rows; rows without a target or
            weight are dropped then.
        holdout: The fraction of rows that only measure.
        robust: The standard errors that hold where the errors' variance differs from row to row,
            "HC0" to "HC3", for a further pass over the rows; None for those of equal variance.
        device: Where the products over the rows are computed, in fast and in exact arithmetic;
            "auto" is the CPU. What is left of a descent over moments has the table's width alone.
        dependent: The weights of linearly dependent features, or of more features than the rows
            determine. "minimum-norm" takes the least-squares solution of least norm, as
            scikit-learn's LinearRegression does. "drop" gives weight 0 to features that are linear
            in earlier ones, as R does.
    """

    epochs: int = 100
    learning_rate: float | Literal["auto"] = "auto"
    momentum: float | Literal["auto"] = "auto"
    tolerance: float = 1e-12
    seed: int = 0
    preconditioning: Literal["none", "standardize", "whiten"] = "whiten"
    gradient: Literal["auto", "rows", "moments"] = "auto"
    arithmetic: Literal["auto", "fast", "exact"] = "auto"
    ridge: float | Literal["auto"] = 0.0
    folds: int | None = None
    bias: bool = True
    dtype: Literal["auto", "float32", "float64"] = "auto"
    missing: Literal["error", "drop", "mean"] = "error"
    holdout: float = 0.0
    robust: Literal["HC0", "HC1", "HC2", "HC3"] | None = None
    device: Literal["cpu", "cuda", "auto"] = "auto"
    dependent: Literal["minimum-norm", "drop"] = "minimum-norm"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise _bad(name, value, f"one of {', '.join(choices)}")
        numbers: dict[str, float] = {
            "epochs": _whole("epochs", self.epochs, 1),
            "seed": _whole("seed", self.seed, 0),
        }
        if self.learning_rate != "auto":
            expected = "a positive number or 'auto'"
            smallest = math.ulp(0.0)
            numbers["learning_rate"] = _real(
                "learning_rate", self.learning_rate, expected, smallest, math.inf
            )
        if self.momentum != "auto":
            expected = "at least 0 and below 1, or 'auto'"
            numbers["momentum"] = _real("momentum", self.momentum, expected, 0.0, 1.0)
        for name, below in (("tolerance", math.inf), ("holdout", 1.0)):
            expected = "at least 0" + (f" and below {below:g}" if below < math.inf else "")
            numbers[name] = _real(name, getattr(self, name), expected, 0.0, below)
        numbers |= self._ridge_numbers()
        for name, value in numbers.items():
            object.__setattr__(self, name, value)  # NumPy's numbers as Python's own
        if type(self.bias) is not bool:
            raise _bad("bias", self.bias, "True or False")
        if self.arithmetic == "exact":
            self._check_exact()
        if self.robust is not None:
            self._check_robust()

    def _ridge_numbers(self) -> dict[str, float]:
        """Return the penalty, if it is a number, or the folds that are to choose one, checked."""
        if isinstance(self.ridge, str) and self.ridge == "auto":
            folds = FOLDS if self.folds is None else self.folds
            return {"folds": _whole("folds", folds, 2, MOST_FOLDS)}
        if self.folds is not None:
            raise InputError(
                f"folds = {self.folds!r} without ridge = 'auto': there is nothing to choose",
                code="bad-option",
                hint="give --ridge auto, or leave --folds out",
            )
        return {"ridge": _real("ridge", self.ridge, "at least 0, or 'auto'", 0.0, math.inf)}

    def _check_exact(self) -> None:
        if self.preconditioning != "whiten" or self.gradient_source != "moments":
            raise InputError(
                "exact arithmetic concerns the whitened descent over moments, not "
                f"preconditioning {self.preconditioning!r} with gradients from "
                f"{self.gradient_source}",
                code="bad-option",
                hint="leave --preconditioning and --gradient out, or use --arithmetic fast",
            )

    def _check_robust(self) -> None:
        if self.robust not in ROBUST:
            raise _bad("robust", self.robust, f"None or one of {', '.join(ROBUST)}")
        if self.ridge:
            raise InputError(
                f"robust = {self.robust!r} with ridge = {self.ridge!r}: a penalty draws the "
                "weights towards 0 by an unknown amount, which no standard error tells of",
                code="bad-option",
                hint="leave out one of --robust and --ridge",
            )

    def recorded(self) -> dict[str, Any]:
        """List the options for the manifest; include newer ones only if not at their default."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in NEWER or getattr(self, field.name) != field.default
        }

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Return the options of these keywords.

        Raises:
            InputError: For an unknown keyword, with the nearest one, or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InputError(
                    f"unknown option {name!r}", code="unknown-option", hint=nearest(name, known)
                )
        return cls(**given)

    @property
    def gradient_source(self) -> Literal["rows", "moments"]:
        """The gradient source that "auto" means."""
        if self.gradient == "auto":
            return "rows" if self.preconditioning == "none" else "moments"
        return self.gradient

    @property
    def fixed_momentum(self) -> float:
        """The momentum of a table that is not wide: there "auto" means 0."""
        return 0.0 if self.momentum == "auto" else float(self.momentum)

    @property
    def torch_device(self) -> str:
        """PyTorch's name of the device."""
        return "cuda" if self.device == "cuda" else "cpu"

    @property
    def in_float32(self) -> bool:
        """Whether the loop runs in float32, as the tutorial's does."""
        by_rows = self.gradient_source == "rows" and self.preconditioning == "none"
        return by_rows and self.dtype != "float64"


def _whole(name: str, value: object, least: int, most: int = 2**63 - 1) -> int:
    if (
        not isinstance(value, Integral)
        or isinstance(value, bool)
        or not least <= int(value) <= most
    ):
        shown = "2^63 - 1" if most == 2**63 - 1 else f"{most:,}"
        raise _bad(name, value, f"a whole number from {least} to {shown}")
    return int(value)


def _real(name: str, value: object, expected: str, least: float, below: float) -> float:
    try:
        number = (
            math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
        )
    except OverflowError:
        number = math.inf
    if not least <= number < below:
        raise _bad(name, value, expected)
    return number


def _bad(name: str, value: object, expected: str) -> InputError:
    return InputError(f"{name} = {value!r}, expected {expected}", code="bad-option")


def check_arguments(table: Any, sample_weight: Any, separator: Any, **names: Any) -> None:
    """Check that names are text, and that weights come as the table does.

    Args:
        table: What `fit` learns from; a tuple is a pair (X, Y).
        sample_weight: A name, or for a pair an array.
        separator: One character, or None.
        **names: A name, several, or None, by the argument's own name.

    Raises:
        InputError: Naming the argument and what was expected.
    """
    for role, given in names.items():
        if not (given is None or isinstance(given, str) or _all_text(given)):
            raise _unexpected(
                role, given, "text, or a list of texts", "a column labelled 0 is called '0'"
            )
    if not (separator is None or isinstance(separator, str)):
        raise _unexpected("separator", separator, "one character", "such as ';'")
    if isinstance(table, tuple):
        if isinstance(sample_weight, str):
            expected, hint = "an array of shape (n,)", "a pair (X, Y) has no named columns"
            raise _unexpected("sample_weight", sample_weight, expected, hint)
    elif not (sample_weight is None or isinstance(sample_weight, str)):
        expected = "the name of a column of the table"
        hint = "put the weights into the table, or give arrays: fit((X, Y), sample_weight=w)"
        raise _unexpected("sample_weight", sample_weight, expected, hint)


def _all_text(names: object) -> bool:
    several = isinstance(names, Iterable) and not isinstance(names, Iterator | bytes)
    return several and all(isinstance(name, str) for name in names)  # type: ignore[attr-defined]


def _unexpected(role: str, given: object, expected: str, hint: str) -> InputError:
    shown = repr(given) if len(repr(given)) <= 60 else f"a {type(given).__name__}"
    return InputError(f"{role} = {shown}, expected {expected}", code="bad-option", hint=hint)
