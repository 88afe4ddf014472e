"""Save moments, which are all that training needs of a table, and load them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradline.atomic import write_named
from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError
from gradline_trainer.moments.saved_moments import MomentsFile, SavedMoments
from gradline_trainer.saved.format import MAGIC, dump, parse

if TYPE_CHECKING:
    from gradline_trainer.result import Fit


@numpy_defaults()
def load_moments(path: str | Path) -> SavedMoments:
    """Load the moments from a file that `save_moments` wrote; see docs/moments.md.

    Raises:
        InputError: For a file that can't be read, has another or a newer format or is damaged,
            and for moments that no table can have.
    """
    path = Path(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(len(MAGIC))
            if data == MAGIC:  # any other file may be larger than memory
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
    """Save the moments that a fit was learned from, and replace the file if there is one.

    The same moments give the same bytes; docs/moments.md describes them, and who should not see
    them.

    Args:
        found: A fit with `keep_moments`, or moments that were merged or subtracted.
        path: The file; it appears there only when it is complete.

    Raises:
        InputError: For a fit that did not keep its moments.
        OutputError: If the file can't be written.
    """
    saved = found if isinstance(found, SavedMoments) else found.gathered
    if saved is None:
        raise InputError(
            "the fit did not keep the moments that it was learned from",
            code="no-moments",
            hint="fit(..., keep_moments=True)",
        )
    parts = dump(saved)
    write_named(Path(path), lambda file: file.writelines(parts))
