"""The command `gradline moments`: merge or subtract saved moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.commands import HELP, as_json
from gradline.terminal.output import say, say_json, warn

if TYPE_CHECKING:
    from gradline_trainer.moments.saved_moments import SavedMoments

OUTPUT = click.option(
    "-o", "--output", required=True, metavar="FILE", type=click.Path(path_type=Path)
)


@click.group("moments", short_help="Merge or subtract saved moments.", context_settings=HELP)
def command() -> None:
    """Merge or subtract what train-and-export --save-moments wrote.

    Training from merged moments gives the same model as training on all of the rows, without
    them. Use it for a monthly refresh, for sites that may not share rows, or to forget rows.

    \b
      train-and-export may.csv -t revenue --save-moments may.moments
      gradline moments merge april.moments may.moments -o spring.moments
      gradline moments subtract spring.moments withdrawn.moments -o kept.moments
      train-and-export --from-moments kept.moments --name revenue
    """


@command.command("merge", short_help="Write the moments of all rows.", context_settings=HELP)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@as_json
def merge(files: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Merge the moments in FILES, and write the moments of all their rows.

    The same files in the same order give the same bytes.

    \b
      gradline moments merge april.moments may.moments -o spring.moments
      gradline moments merge sites/*.moments -o all.moments
    """
    from gradline_trainer.saved.algebra import merge_moments

    _write(files, output, merge_moments, as_json=as_json)


@command.command(
    "subtract", short_help="Write the moments without some rows.", context_settings=HELP
)
@click.argument("whole", type=click.Path(path_type=Path))
@click.argument("part", type=click.Path(path_type=Path))
@OUTPUT
@as_json
def subtract(whole: Path, part: Path, output: Path, as_json: bool) -> None:
    """Write the moments of WHOLE's rows without those of PART, which must be some of them.

    The columns' ranges and the folds can't be subtracted and are left out. Levels that no row has
    any more go. If a variance would lose more digits than it keeps, nothing is written: save the
    moments of the remaining rows instead.

    \b
      gradline moments subtract all.moments withdrawn.moments -o kept.moments
    """
    from gradline_trainer.saved.algebra import subtract_moments

    _write((whole, part), output, lambda saved: subtract_moments(*saved), as_json=as_json)


def _write(
    files: Sequence[Path],
    output: Path,
    combine: Callable[[Sequence[SavedMoments]], SavedMoments],
    *,
    as_json: bool,
) -> None:
    """Combine the moments of some files, write the result and describe it."""
    from gradline.atomic import check_output, check_writable
    from gradline.formatting import count
    from gradline_trainer.moments.saved_moments import PRIVATE
    from gradline_trainer.saved.files import load_moments, save_moments
    from gradline_trainer.saved.remaining import still_known

    check_output(output, [file for file in files if file.exists()])
    check_writable(output)
    saved = [load_moments(file) for file in files]
    found = combine(saved)
    save_moments(found, output)
    warnings = [f"{output}: {PRIVATE}"] * found.reconstructible
    if any(one.folds for one in saved) and not found.folds:
        warnings.append(f"{output} has no folds, so --ridge auto can't be used with it")
    warnings += [f"{output}: {kept}" for kept in still_known(found)]
    rows, columns = found.moments.rows, found.columns
    if as_json:
        names = {"features": columns.features, "targets": columns.targets}
        quality = {"rounding": found.moments.rounding, "warnings": warnings}
        say_json({"path": str(output), "rows": rows, **names, **quality})
        return
    for warning in warnings:
        warn(warning)
    said = f"{count(len(columns.features), 'feature')}, {count(len(columns.targets), 'target')}"
    say(f"{output}: the moments of {count(rows, 'row')}, {said}")
