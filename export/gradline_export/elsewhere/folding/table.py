"""Collect what a pipeline's steps know about the table's columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradline.columns.kinds import Column
from gradline.errors import InputError

SUPPORTED = (
    "StandardScaler, MinMaxScaler, OneHotEncoder, SimpleImputer and PolynomialFeatures, and a "
    "ColumnTransformer or Pipeline of these"
)
HINT = f"a package takes in {SUPPORTED}; compute the rest in the table, before the pipeline"


@dataclass
class Table:
    """The columns that a pipeline takes, and what its steps know about them.

    Attributes:
        names: All columns, in order.
        categories: The columns that an encoder takes.
        samples: Values of the columns, for the rows that predictions are compared on.
        ignoring: Categories whose unknown levels an encoder ignores.
        depth: The most steps that a value goes through.
        degree: The highest degree of a product.
    """

    names: Sequence[str]
    categories: dict[str, Column] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict)
    ignoring: set[str] = field(default_factory=set)
    depth: int = 0
    degree: int = 1

    def add_samples(self, name: str, values: Iterable[Any]) -> None:
        """Add values of a column that occur in its training rows, or are close to such."""
        plain = (value.item() if isinstance(value, np.generic) else value for value in values)
        self.samples[name] = list(dict.fromkeys([*self.samples.get(name, ()), *plain]))


@dataclass(frozen=True)
class Step:
    """A fitted step and its path in the pipeline."""

    path: str
    transformer: Any

    def within(self, name: str, transformer: Any) -> Step:
        """Name a step inside this one, as scikit-learn does."""
        return Step(f"{self.path}__{name}" if self.path else name, transformer)

    def refused(self, reason: str, hint: str = HINT) -> InputError:
        """Build the error for a step that a package cannot take in."""
        kind = type(self.transformer).__name__
        return InputError(
            f"the step {self.path!r} ({kind}) cannot be part of a package: {reason}",
            code="pipeline-steps",
            hint=hint,
        )
