"""The options of a training run: declared once, checked before any row is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, TypedDict

from gradline.errors import InputError, nearest

ROBUST_KINDS = ("HC0", "HC1", "HC2", "HC3")
NEWER = ("dependent",)  # options missing from the first packages of format 1
FOLDS = 5
#: Our names of what other libraries call so.
OUR_NAMES = {
    "alpha": "ridge",
    "cv": "folds",
    "fit_intercept": "bias",
    "lr": "learning_rate",
    "max_iter": "epochs",
    "na_values": "null",
    "random_state": "seed",
    "sep": "separator",
    "target": "targets",
    "test_size": "holdout",
    "tol": "tolerance",
}
MAX_CATEGORIES = 1_000  # each is a feature
MOST_FOLDS = 1_000  # each one's moments are held in memory


@dataclass(frozen=True)
class Accepted:
    """The values that an option takes, and its help."""

    help: str
    expected: str  # ends the message "NAME = VALUE, expected …"
    words: tuple[str, ...] = ()  # such as "auto"
    number: type[int | float] | None = None  # accepts numbers with least ≤ value < below
    least: float = 0
    below: float = math.inf

    def checked(self, name: str, value: Any) -> Any:
        """Check a value, and turn NumPy's numbers into Python's own."""
        if isinstance(value, str) and value in self.words:
            return value
        convert: Any = self.number
        kind = Integral if convert is int else Real
        if convert and isinstance(value, kind) and not isinstance(value, bool):
            try:
                number = convert(value)
            except OverflowError:
                number = math.inf
            if self.least <= number < self.below:
                return number
        raise bad_option(name, value, self.expected)


def _option(default: Any, help: str, **values: Any) -> Any:
    return field(default=default, metadata={"accepted": Accepted(help, **values)})


def _choice(default: str, words: tuple[str, ...], help: str) -> Any:
    return _option(default, help, expected=f"one of {', '.join(words)}", words=words)


def _whole(default: int | None, help: str, least: int, most: int = 2**63 - 1) -> Any:
    shown = "2^63 - 1" if most == 2**63 - 1 else f"{most:,}"
    expected = f"a whole number from {least} to {shown}"
    return _option(default, help, expected=expected, number=int, least=least, below=most + 1)


def _real(default: float | str, help: str, expected: str, **values: Any) -> Any:
    words = ("auto",) if "'auto'" in expected else ()
    return _option(default, help, expected=expected, words=words, number=float, **values)


class TrainingOptions(TypedDict, total=False):
    """The keyword arguments of `fit` that become `Options`, with their types for editors."""

    epochs: int
    learning_rate: float | Literal["auto"]
    momentum: float | Literal["auto"]
    tolerance: float
    seed: int
    preconditioning: Literal["none", "standardize", "whiten"]
    gradient: Literal["auto", "rows", "moments"]
    arithmetic: Literal["auto", "fast", "exact"]
    ridge: float | Literal["auto"]
    folds: int | None
    bias: bool
    dtype: Literal["auto", "float32", "float64"]
    missing: Literal["auto", "drop", "mean", "error"]
    holdout: float
    robust: Literal["HC0", "HC1", "HC2", "HC3", True] | None
    device: Literal["cpu", "cuda", "auto"]
    dependent: Literal["minimum-norm", "drop"]


@dataclass(frozen=True)
class Options:
    """The options of `fit` and `train-and-export`; the help of each stands beside its default."""

    epochs: int = _whole(100, "Most steps to take.", 1)
    learning_rate: float | Literal["auto"] = _real(
        "auto",
        "Step size; auto is 1/λmax of the Hessian in the loop's coordinates.",
        "a positive number or 'auto'",
        least=math.ulp(0.0),
    )
    momentum: float | Literal["auto"] = _real(
        "auto",
        "Nesterov momentum; auto is 0, and k/(k+3) with restarts on wide tables.",
        "a number of at least 0 and below 1, or 'auto'",
        below=1.0,
    )
    tolerance: float = _real(
        1e-12,
        "Stop when the loss is at most this share above its minimum; 0 runs every epoch.",
        "a number of at least 0",
    )
    seed: int = _whole(
        0, "Seed of the holdout, the folds, and the first weights without preconditioning.", 0
    )
    preconditioning: Literal["none", "standardize", "whiten"] = _choice(
        "whiten",
        ("none", "standardize", "whiten"),
        "Coordinates of the loop; none is the tutorial's.",
    )
    gradient: Literal["auto", "rows", "moments"] = _choice(
        "auto",
        ("auto", "rows", "moments"),
        "Compute gradients from the rows, or from their moments gathered in one pass; auto is rows "
        "without preconditioning, else moments.",
    )
    arithmetic: Literal["auto", "fast", "exact"] = _choice(
        "auto",
        ("auto", "fast", "exact"),
        "fast is float64; exact rounds every coefficient correctly; auto is exact for small and "
        "ill-conditioned tables.",
    )
    ridge: float | Literal["auto"] = _real(
        0.0,
        "Penalty on the weights, scikit-learn's alpha; auto chooses it by cross-validation.",
        "a number of at least 0, or 'auto'",
    )
    folds: int | None = _whole(None, "Folds of --ridge auto; 5 unless given.", 2, MOST_FOLDS)
    bias: bool = True
    dtype: Literal["auto", "float32", "float64"] = _choice(
        "auto",
        ("auto", "float32", "float64"),
        "Type of the published graph; auto is float32 if that is accurate enough.",
    )
    missing: Literal["auto", "drop", "mean", "error"] = _choice(
        "auto",
        ("auto", "drop", "mean", "error"),
        "If a feature is missing: auto fills numbers with their mean over the training rows and "
        "adds a term for it, mean only fills, drop leaves the row out, error stops. A row without "
        "its target is left out, except by error.",
    )
    holdout: float = _real(
        0.0,
        "Fraction of the rows to measure on and not to train on; the same share of every 100 rows.",
        "a number of at least 0 and below 1",
        below=1.0,
    )
    robust: Literal["HC0", "HC1", "HC2", "HC3"] | None = None
    device: Literal["cpu", "cuda", "auto"] = _choice(
        "auto",
        ("cpu", "cuda", "auto"),
        "Device that computes products over the rows; auto is cpu.",
    )
    dependent: Literal["minimum-norm", "drop"] = _choice(
        "minimum-norm",
        ("minimum-norm", "drop"),
        "If features are linearly dependent: the solution of least norm, as in scikit-learn, or "
        "weight 0 for later features, as in R.",
    )

    def __post_init__(self) -> None:
        for name, default, accepts in _checked_fields():
            value = getattr(self, name)
            if value is not default:
                self._set(name, accepts.checked(name, value))
        self._check_folds()
        if type(self.bias) is not bool:
            raise bad_option("bias", self.bias, "True or False")
        if self.arithmetic == "exact":
            self._check_exact()
        if self.robust is not None:
            self._check_robust()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # as a frozen dataclass initializes its own fields

    def _check_folds(self) -> None:
        if self.ridge == "auto" and self.folds is None:
            self._set("folds", FOLDS)
        elif self.ridge != "auto" and self.folds is not None:
            raise InputError(
                f"folds = {self.folds!r} without ridge = 'auto': there is nothing to choose",
                code="bad-option",
                hint="give --ridge auto, or leave --folds out",
            )

    def _check_exact(self) -> None:
        if self.preconditioning != "whiten" or self.gradient_source != "moments":
            raise InputError(
                "exact arithmetic needs preconditioning 'whiten' with moments, not "
                f"preconditioning {self.preconditioning!r} with gradients from "
                f"{self.gradient_source}",
                code="bad-option",
                hint="leave --preconditioning and --gradient out, or use --arithmetic fast",
            )

    def _check_robust(self) -> None:
        given: object = self.robust
        kind = "HC3" if given is True else given
        if kind not in ROBUST_KINDS:
            raise bad_option("robust", kind, f"None, True or one of {', '.join(ROBUST_KINDS)}")
        self._set("robust", kind)
        if self.ridge:
            raise InputError(
                f"robust = {self.robust!r} with ridge = {self.ridge!r}: a penalty draws the "
                "weights towards 0 by an unknown amount, which no standard error covers",
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
        """Make options of keywords; suggest the nearest option for an unknown one."""
        for name, value in given.items():
            if name not in cls.__dataclass_fields__:
                hint = nearest(name, list(cls.__dataclass_fields__))
                if own := OUR_NAMES.get(name):
                    short = isinstance(value, bool | int | float | str)
                    hint = f"give it as {own}={value!r}" if short else f"it is called {own} here"
                raise InputError(f"unknown option {name!r}", code="unknown-option", hint=hint)
        return cls(**given)

    @property
    def gradient_source(self) -> Literal["rows", "moments"]:
        """The gradient source that "auto" means."""
        if self.gradient == "auto":
            return "rows" if self.preconditioning == "none" else "moments"
        return self.gradient

    @property
    def fixed_momentum(self) -> float:
        """The momentum for a table that is not wide: "auto" means 0 there."""
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


@cache
def _checked_fields() -> list[tuple[str, Any, Accepted]]:
    """List the name, the default and the accepted values of each option that has them."""
    return [(f.name, f.default, f.metadata["accepted"]) for f in fields(Options) if f.metadata]


def accepted() -> dict[str, Accepted]:
    """List the accepted values by option; `bias` and `robust` check their own."""
    return {f.name: f.metadata["accepted"] for f in fields(Options) if f.metadata}


def bad_option(name: str, value: object, expected: str, hint: str = "") -> InputError:
    """Build the error for a value that an option does not take."""
    shown = repr(value) if len(repr(value)) <= 60 else f"a {type(value).__name__}"
    return InputError(f"{name} = {shown}, expected {expected}", code="bad-option", hint=hint)
