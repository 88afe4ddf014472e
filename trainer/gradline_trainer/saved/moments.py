"""Moments that outlive their table: all that training needs of it, in one file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradline.ambient import numpy_defaults
from gradline.errors import InputError
from gradline.writing import write_named
from gradline_trainer.columns import Columns
from gradline_trainer.moments import Moments

if TYPE_CHECKING:
    from gradline_trainer.result import Fit

__all__ = ["PRIVATE", "MomentsFile", "SavedMoments", "load_moments", "save_moments"]


PRIVATE = (
    "the moments of so few rows that these can be worked out from them; who may not see the rows "
    "should not see this file"
)


@dataclass(frozen=True)
class MomentsFile:
    """A file that moments were loaded from.

    Attributes:
        name: Without its folder.
        bytes: Its size.
        sha256: Of its bytes, in hexadecimal.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SavedMoments:
    """What training needs of a table; `fit` takes it in the table's place.

    Attributes:
        moments: Of the training rows of [features, targets].
        folds: Of each fold's rows, where `--ridge auto` dealt them; else empty.
        columns: What the table's columns were used for, with the encoding that was learned.
        rows_read, rows_dropped, rows_held_out: Counts.
        filled: Missing values that were filled.
        file: That it was loaded from; None where it was not.
    """

    moments: Moments
    folds: list[Moments]
    columns: Columns
    rows_read: int
    rows_dropped: int
    rows_held_out: int
    filled: int
    file: MomentsFile | None = None

    @property
    def reconstructible(self) -> bool:
        """Whether some of the moments are of no more rows than they have columns, and one.

        Then the rows are all but determined: up to a rotation, and often up to less.
        """
        few = len(self.moments.mean) + 1
        return min(m.rows for m in (self.moments, *self.folds)) <= few

    def select(self, columns: Columns) -> SavedMoments:
        """Return what would have been saved of these columns alone, each a feature or a target.

        Args:
            columns: Some of the saved ones, in any order; their features and targets by name.
        """
        saved = [*self.columns.features, *self.columns.targets]
        wanted = [*columns.features, *columns.targets]
        if wanted == saved:
            return replace(self, columns=columns)
        place = {name: j for j, name in enumerate(saved)}
        places = np.array([place[name] for name in wanted])

        def of(moments: Moments) -> Moments:
            by_column = ("mean", "mean_rest", "minimum", "maximum", "float32")
            chosen = {name: getattr(moments, name)[places] for name in by_column}
            return replace(moments, **chosen, comoment=moments.comoment[np.ix_(places, places)])

        return replace(
            self, moments=of(self.moments), folds=[of(f) for f in self.folds], columns=columns
        )


@numpy_defaults()
def load_moments(path: str | Path) -> SavedMoments:
    """Return the moments in a file that `save_moments` wrote; see docs/moments.md.

    Raises:
        InputError: Where it can't be read, is of another or a newer format, damaged, or holds what
            can be the moments of no table.
    """
    from gradline_trainer.saved.format import MAGIC, parse

    path = Path(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(len(MAGIC))
            if data == MAGIC:  # whatever else it is, it may be larger than the memory
                data += opened.read()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}",
            code="no-data" if isinstance(error, FileNotFoundError) else "unreadable-data",
            hint="give a file that --save-moments wrote",
        ) from error
    file = MomentsFile(path.name, len(data), hashlib.sha256(data).hexdigest())
    return replace(parse(data, path.name), file=file)


def save_moments(found: Fit | SavedMoments, path: str | Path) -> None:
    """Write the moments that a fit was learned from, in place of any file that is there.

    The same moments give the same bytes; see docs/moments.md for what they are, and for who should
    not see them.

    Args:
        found: A fit with `keep_moments`, or moments that were merged or subtracted.
        path: The file appears there when it is whole.

    Raises:
        InputError: For a fit without them.
        OutputError: Where it can't be written.
    """
    from gradline_trainer.saved.format import dump

    saved = found if isinstance(found, SavedMoments) else found.gathered
    if saved is None:
        raise InputError(
            "the fit has not kept the moments that it was learned from",
            code="no-moments",
            hint="fit(..., keep_moments=True)",
        )
    parts = dump(saved)
    write_named(Path(path), lambda file: file.writelines(parts))


def refuse_wide(features: int) -> InputError:
    """Return the error for a table of so many features that their co-moments would not fit."""
    return InputError(
        f"a wide table, {features:,} features, has no co-moments to save",
        code="no-moments",
        hint="give fewer features, or --gradient moments where their square fits in memory",
    )
