"""`gradline demo`: write a small messy table, learn from it, and show what to do next."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import click

from gradline.commands import HELP

TABLE = "cafes.csv"
TARGET = "revenue"
ELSEWHERE = "choose another folder: gradline demo FOLDER"


@click.command("demo", context_settings=HELP)
@click.argument("folder", type=click.Path(path_type=Path), default="gradline-demo")
def command(folder: Path) -> None:
    """Try gradline on a small messy table.

    It writes cafes.csv into FOLDER: 60 rows with dates, categories, money, gaps and an index
    column. It learns a model in FOLDER/artifacts/cafes, and prints what to do next. FOLDER is
    gradline-demo by default. Nothing else is written or opened.

    \b
      gradline demo
      gradline demo /tmp/cafes
    """
    from gradline.terminal.layout import Heading, Verbatim
    from gradline.terminal.output import show, tell

    table, packages = folder / TABLE, folder / "artifacts"
    if write_table(table):
        tell(f"{table}: 60 rows written")
    training = shlex.join(["gradline", "train", str(table), "-t", TARGET, "-o", str(packages)])
    tell(f"$ {training}")
    _train(table, packages)
    package, predicted = str(packages / "cafes"), str(folder / "predicted.csv")
    kept = ["--keep", TARGET, "-o", predicted]
    show(
        [
            "",
            Heading("Next:"),
            *(
                Verbatim(f"  {shlex.join(['gradline', *words])}")
                for words in (
                    ["predict", package, str(table), *kept],
                    ["evaluate", package, str(table)],
                    ["serve", package],
                )
            ),
        ]
    )


def write_table(table: Path) -> bool:
    """Write the table, unless it is there already; return whether it was written.

    Raises:
        OutputError: If a file of that name holds something else, or the folder can't be written.
    """
    from gradline.atomic import write_named
    from gradline.errors import OutputError

    data = files("gradline_export").joinpath(TABLE).read_bytes()
    if table.is_file():
        if table.read_bytes() == data:
            return False
        raise OutputError(
            f"{table} is another table than the demo's",
            code="file-exists",
            hint=ELSEWHERE,
        )
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        what = f"cannot make the folder {table.parent}: {reason}"
        raise OutputError(what, code="cannot-write", hint=ELSEWHERE) from error
    write_named(table, lambda file: file.write(data))
    return True


def _train(table: Path, packages: Path) -> None:
    """Run `train-and-export` on the table."""
    from gradline_export.command import command as train_and_export

    words = [str(table), "--target", TARGET, "--output", str(packages)]
    train_and_export.main(words, standalone_mode=False)
