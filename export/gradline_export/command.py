"""`train-and-export`: the main job as a command.

The options of a training run are made from their declarations in `gradline_trainer.options`.
"""

from __future__ import annotations

import gc
import math
import re
import shlex
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from gradline.commands import HELP
from gradline.errors import InputError, in_quotes
from gradline.terminal.interrupts import ending_at_once
from gradline_export.publish.fingerprints import begin
from gradline_trainer.options import MAX_CATEGORIES, ROBUST_KINDS, Accepted, Options, accepted

FILE = click.Path(path_type=Path)
EXTRA = re.compile(r"Got unexpected extra arguments? \((\S+|.+)\)")  # click's words


class Number(click.ParamType["float | str"]):
    """A number, or one of the words that an option accepts."""

    name = "number"

    def __init__(self, values: Accepted) -> None:
        self.values = values

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Read a number or a word; usage errors are the plain ones, `Options` checks the rest."""
        values = self.values
        if value in values.words or values.number is None:
            return str(value)
        try:
            number = values.number(value)
        except ValueError:
            number = None
        if values.words and number is None:
            self.fail(f"{value!r} is neither a number nor 'auto'", param, ctx)
        if number is None or (not values.words and self._is_outside(number)):
            self.fail(f"{value!r} is not {values.expected}", param, ctx)
        return number

    def _is_outside(self, number: float) -> bool:
        """Check against the bounds; `Options` refuses NaN, infinity and huge whole numbers."""
        values = self.values
        too_large = values.number is float and math.inf > values.below <= number
        return number < values.least or too_large


class _TrainingCommand(click.Command):
    """A command whose flag --robust takes no value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; explain a kind after --robust, which would be taken for DATA."""
        words: list[str] = []
        for word in args:
            words += word.split("=", 1) if word.startswith("--robust=") else [word]
        for word, following in pairwise([] if ctx.resilient_parsing else words):
            if word == "--robust" and following in ROBUST_KINDS:
                raise InputError(
                    f"--robust takes no value, but {following} follows it",
                    code="bad-option",
                    hint=f"--robust-kind {following}",
                )
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if found := EXTRA.fullmatch(error.message):
                raise InputError(
                    f"{found[1]!r} follows DATA, which is a single argument",
                    code="bad-option",
                    hint=f"to predict a column: -t {shlex.quote(found[1])}; to read several files, "
                    "quote a pattern: 'data/*.csv'",
                ) from None
            raise


def training_options(command: Any) -> Any:
    """Add an option for each field of `Options` that declares its values, in their order."""
    for name, values in reversed(accepted().items()):
        default = getattr(Options, name)
        numeric = values.number is not None
        command = click.option(
            f"--{name.replace('_', '-')}",
            default=default,
            show_default=f"{default:g}" if isinstance(default, float) else default is not None,
            type=Number(values) if numeric else click.Choice(values.words),
            metavar="|".join(["NUMBER", *values.words]) if numeric else None,
            shell_complete=partial(_complete, values.words),
            help=values.help,
        )(command)
    return command


def _complete(words: tuple[str, ...], _ctx: object, _param: object, typed: str) -> list[str]:
    return [word for word in words if word.startswith(typed)]


def repeated(*names: str, help: str, metavar: str = "NAME") -> Callable[[Any], Any]:
    """Declare an option that may be given several times."""
    return click.option(*names, multiple=True, metavar=metavar, help=help)


@click.command(
    "train-and-export",
    cls=_TrainingCommand,
    short_help="Learn a model from a table and publish it.",
    context_settings=HELP,
)
@click.argument("data", type=click.Path(), required=False)
@repeated(
    *("-t", "--target", "targets"),
    help="Column to predict, or 'log(NAME)', 'log1p(NAME)'; repeat for several. Required with "
    "DATA.",
)
@repeated(
    *("-f", "--feature", "features"),
    metavar="TERM",
    help="Term to predict from: a column, 'log(price)', 'store:size', 'month(date)', '*' for the "
    "default terms; repeat.",
)
@repeated("--exclude", help="Column that is not a feature; repeat.")
@repeated(
    "--one-hot",
    help="Feature that is a category: one indicator NAME=value for each value; repeat.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Decide nothing: the features are the columns of numbers and --one-hot.",
)
@click.option(
    "--like",
    metavar="PACKAGE",
    type=FILE,
    help="Take the columns and terms of this package, so that next month's table fits its model.",
)
@repeated(
    "--time-format",
    metavar="NAME=FORMAT",
    help="How a column's times are written, such as 'date=%d/%m/%Y'; repeat.",
)
@click.option(
    "--max-categories",
    default=MAX_CATEGORIES,
    show_default=True,
    type=click.IntRange(2),
    metavar="NUMBER",
    help="Most levels that a category may have.",
)
@click.option("--sample-weight", metavar="NAME", help="Column of row weights, 0 or more.")
@click.option("--name", metavar="NAME", help="Package name. Default: DATA's stem or folder.")
@click.option(
    *("-o", "--output"),
    default="artifacts",
    show_default=True,
    metavar="DIR",
    type=FILE,
    help="Folder of packages.",
)
@training_options
@click.option("--no-bias", is_flag=True, help="Learn y = x @ W.T.")
@repeated(
    "--null",
    metavar="TOKEN",
    help="Text that also means missing, beside empty, NA, N/A, NaN and null; repeat.",
)
@click.option("--separator", metavar="C", help="Separator of CSV files. Default: by extension.")
@click.option("--decimal-comma", is_flag=True, help="Read 1,5 as one and a half.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    type=click.Choice(("local", "ray")),
    help="Read the rows here or on a Ray cluster's machines, with the same answer.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Address of the Ray cluster. Default: RAY_ADDRESS, else one on this machine.",
)
@click.option(
    "--robust",
    is_flag=True,
    help="Standard errors (HC3) that stay valid if the errors' variance differs between rows.",
)
@click.option(
    "--robust-kind", type=click.Choice(ROBUST_KINDS), help="Another kind; implies --robust."
)
@click.option(
    "--from-moments",
    metavar="FILE",
    type=FILE,
    help="Learn from saved moments instead of DATA, without the rows.",
)
@click.option(
    "--save-moments",
    metavar="FILE",
    type=FILE,
    help="Also save the moments, to merge, subtract and learn from later.",
)
@click.option("--torch-export", is_flag=True, help="Add model.pt2 (takes some seconds).")
@click.option("--intervals", is_flag=True, help="Add intervals.onnx, with prediction intervals.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@repeated(
    *("--note", "notes"),
    metavar="KEY=VALUE",
    help="Record author, purpose, commit…; repeat.",
)
@click.option("--no-fingerprint", is_flag=True, help="Record no SHA-256 of the input files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("-v", "--verbose", is_flag=True, help="Also show training, exactness, parity, dtype.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the package's path.")
def command(**options: Any) -> None:
    """Learn a linear model from DATA and publish it as a package.

    DATA is a CSV, TSV, Parquet, Arrow or NDJSON file, a glob or a folder. Without it, the built-in
    orchard table is used. The package is artifacts/NAME/1, then 2, 3…

    \b
      train-and-export
      train-and-export sales.csv -t revenue
      train-and-export 'logs/*.parquet' -t cpu -t memory --exclude id --name load
      train-and-export prices.csv -t price --separator ';' --decimal-comma --missing drop
      train-and-export sales.csv -t revenue --holdout 0.2 --ridge 1 --json
      train-and-export sales.csv -t revenue --ridge auto --folds 10
      train-and-export shops.csv -t 'log(revenue)' -f '*' -f 'size:region'
      train-and-export sales.csv -t revenue --save-moments sales.moments
      train-and-export --from-moments sales.moments

    The tutorial's own run, bit for bit:

    \b
      train-and-export --preconditioning none --learning-rate 1e-4 --epochs 100 \\
                       --seed 1337 --tolerance 0
    """
    notes = {}
    for note in options.pop("notes"):
        key, equals, value = note.partition("=")
        if not equals or not key:
            raise InputError(f"--note {in_quotes(note)}, expected KEY=VALUE", code="bad-option")
        notes[key] = value
    robust, kind = options.pop("robust"), options.pop("robust_kind")
    options["robust"] = kind or robust or None
    # Imported objects live as long as the process. To walk them again and again in search of
    # garbage would take a fifth of a small job's time.
    gc.disable()
    if options["data"] is not None and not options["no_fingerprint"]:
        begin(options["data"])
    try:
        with ending_at_once(["--json"] if options["as_json"] else []):
            from gradline_export.train_and_export import train_and_export
    finally:
        gc.freeze()
        gc.enable()
    train_and_export(notes=notes, **options)
