"""A linear model that was learned elsewhere: what a package of it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.columns.matrix import from_tensor
from gradline.columns.plan import Plan
from gradline.errors import InputError
from gradline.formatting import count
from gradline_trainer.rows.columns import is_unicode

Array = NDArray[np.float64]
LARGEST = 2.0**120  # beyond, no golden row could show a wrong weight; see `parity.LARGEST`


@dataclass(frozen=True)
class Learned:
    """The function y = x @ W.T + b of d features, and where it comes from.

    Attributes:
        plan: The table's columns, and the d terms that are made of them.
        targets: The k names.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        made_by: The library, class, version and parameters; None if only W and b were given.
        predict: The model's own answers, shape (n, k), to rows of the features (n, d), if it has
            some.
        agreed: The hosts whose answers were compared already, as the manifest names them.
        warnings: What to know before the package is used.
    """

    plan: Plan
    targets: list[str]
    weights: Array
    bias: Array
    made_by: Mapping[str, Any] | None = None
    predict: Callable[[Array], Array] | None = None
    agreed: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        largest = np.abs(np.append(self.weights, self.bias)).max()
        if not largest <= LARGEST:
            raise InputError(
                f"a coefficient is {largest:g}: beyond 2^120 nothing can be proved",
                code="out-of-range",
                hint="rescale the target or the features",
            )

    @classmethod
    def of_numbers(
        cls,
        weights: Any,
        bias: Any,
        features: str | Sequence[str],
        targets: str | Sequence[str],
        **further: Any,
    ) -> Learned:
        """Check coefficients and the names of plain numbers; see `package_coefficients`."""
        names, wanted = _names(features, "feature"), _names(targets, "target")
        shared = [name for name in wanted if name in names]
        if shared:
            raise InputError(
                f"{shared[0]!r} is both a feature and a target",
                code="repeated-column",
                hint="give the target another name: targets=…",
            )
        factors = _numbers(weights, "weights", 2)
        factors = factors[None] if factors.ndim == 1 else factors
        if factors.shape != (len(wanted), len(names)):
            raise InputError(
                f"weights of shape {np.shape(weights)} for {count(len(wanted), 'target')} and "
                f"{count(len(names), 'feature')}, expected ({len(wanted)}, {len(names)})",
                code="wrong-shape",
                hint="a row for each target, a column for each feature",
            )
        offsets = _numbers(bias, "bias", 1)
        if offsets.ndim and offsets.shape != (len(wanted),):
            raise InputError(
                f"bias of shape {offsets.shape} for {count(len(wanted), 'target')}",
                code="wrong-shape",
                hint="a number, or one for each target",
            )
        plan = Plan.of_columns(list(map(Column, names)))
        return cls(plan, wanted, factors, np.resize(offsets, len(wanted)), **further)


def host_of(made_by: Mapping[str, Any]) -> str:
    """Name a model's own `predict` among the hosts that agree."""
    return f"{made_by['class']}.predict of {made_by['library']}"


def _names(given: str | Sequence[str], what: str) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise InputError(f"no {what}", code=f"no-{what}", hint=f"name at least one {what}")
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name or not is_unicode(name):
            raise InputError(
                f"{what} {place} is named {name!r}, expected Unicode text that is not empty",
                code="bad-name",
                hint=f"{what}s=[…], a text for each",
            )
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(
            f"two {what}s are named {twice!r}",
            code="duplicate-column",
            hint=f"give each {what} a name of its own: {what}s=[…]",
        )
    return [str(name) for name in names]  # NumPy's texts become Python's


def _numbers(given: Any, what: str, most: int) -> Array:
    """Read finite numbers in at most `most` dimensions as float64."""
    try:
        found = np.asarray(from_tensor(given, what))
    except ValueError as error:
        raise InputError(
            f"{what}: rows of different lengths", code="wrong-shape", hint="rows of equal length"
        ) from error
    if isinstance(given, np.ma.MaskedArray) or found.dtype.kind not in "iuf":
        kind = "masked values" if found.dtype.kind in "iuf" else f"{_kind(found)}"
        raise InputError(
            f"{what}: {kind}, expected numbers", code="not-numeric", hint="convert them to float64"
        )
    if found.ndim > most:
        raise InputError(
            f"{what} of shape {found.shape}, expected at most {most} dimensions",
            code="wrong-shape",
            hint="a row for each target, a column for each feature",
        )
    numbers = found.astype(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise InputError(
            f"{what}{list(place) if place else ''} is {numbers[place]}, expected finite numbers",
            code="not-finite",
            hint="learn the model again: such a model answers nothing",
        )
    with np.errstate(all="ignore"):
        same = numbers.astype(found.dtype) == found
    if not same.all():
        raise InputError(
            f"{what}: float64 cannot hold {found[~same][0]} exactly",
            code="out-of-range",
            hint="round the numbers to float64",
        )
    return numbers


def _kind(found: NDArray[Any]) -> str:
    if found.dtype == object and found.size:
        return f"values such as {type(found.flat[0]).__name__}"
    return {"U": "text", "b": "booleans", "c": "complex numbers"}.get(found.dtype.kind, "values")
