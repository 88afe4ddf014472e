"""`train-and-export`: the main job as a command."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradline.errors import InputError
from gradline.terminal.interrupts import ending_at_once
from gradline_export.publish.fingerprints import begin

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["command"]


class NumberOrAuto(click.ParamType["float | str"]):
    """A number, or `auto`."""

    name = "number or auto"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help calls it."""
        return "NUMBER|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Return the number or "auto"."""
        if value == "auto" or isinstance(value, float):
            return str(value) if value == "auto" else float(value)
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'auto'", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what a shell can complete."""
        from click.shell_completion import CompletionItem

        return [CompletionItem("auto")] if "auto".startswith(incomplete) else []


class Number(click.ParamType["float"]):
    """A number in a range that an error tells of: the help says NUMBER and the default alone."""

    name = "number"

    def __init__(self, expected: str, within: click.ParamType[Any]) -> None:
        self.expected = expected
        self.within = within

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        try:
            number: float = self.within.convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not {self.expected}", param, ctx)
        return number


WHOLE = Number("a whole number of 0 or more", click.IntRange(min=0))
POSITIVE = Number("a whole number of 1 or more", click.IntRange(min=1))
AT_LEAST_2 = Number("a whole number of 2 or more", click.IntRange(min=2))
AT_LEAST_0 = Number("a number of 0 or more", click.FloatRange(min=0))
FRACTION = Number("a number from 0 to below 1", click.FloatRange(min=0, max=1, max_open=True))


def choice(*values: str) -> click.Choice[str]:
    """Return the type of an option with these values."""
    return click.Choice(values)


@click.command(
    "train-and-export",
    short_help="Learn a model from a table and publish it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("data", type=click.Path(), required=False)
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="Column to predict; repeat for several. Required with DATA.",
)
@click.option(
    "-f",
    "--feature",
    "features",
    multiple=True,
    metavar="NAME",
    help="Column to predict from; repeat. Default: every other numeric column.",
)
@click.option("--exclude", multiple=True, metavar="NAME", help="Not a feature; repeat.")
@click.option(
    "--one-hot",
    multiple=True,
    metavar="NAME",
    help="A feature that is a category: one indicator NAME=value for each value; repeat.",
)
@click.option(
    "--max-categories",
    default=1000,
    show_default=True,
    type=AT_LEAST_2,
    help="The most values that such a column may have.",
)
@click.option("--sample-weight", metavar="NAME", help="Column of row weights, 0 or more.")
@click.option("--name", metavar="NAME", help="Package name. Default: DATA's stem or folder.")
@click.option(
    "-o",
    "--output",
    default="artifacts",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of packages.",
)
@click.option(
    "--epochs",
    default=100,
    show_default=True,
    type=POSITIVE,
    help="The most steps to take.",
)
@click.option(
    "--learning-rate",
    default="auto",
    show_default=True,
    type=NumberOrAuto(),
    help="Step size; auto is 1/λmax.",
)
@click.option(
    "--momentum",
    default="auto",
    show_default=True,
    type=NumberOrAuto(),
    help="Nesterov's, 0 to 1; auto is 0, or on wide tables k/(k+3) with restarts.",
)
@click.option(
    "--tolerance",
    default=1e-12,
    show_default=True,
    type=AT_LEAST_0,
    help="Stop when the loss gap is below this share of the loss; 0 never.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=WHOLE,
    help="Of the first weights (with --preconditioning none), the holdout and the folds.",
)
@click.option(
    "--preconditioning",
    default="whiten",
    show_default=True,
    type=choice("none", "standardize", "whiten"),
    help="Coordinates of the loop; none is the tutorial's.",
)
@click.option(
    "--gradient",
    default="auto",
    show_default=True,
    type=choice("auto", "rows", "moments"),
    help="From the rows, or from their moments gathered in one pass.",
)
@click.option(
    "--arithmetic",
    default="auto",
    show_default=True,
    type=choice("auto", "fast", "exact"),
    help="fast is float64; exact gives every coefficient correctly rounded.",
)
@click.option(
    "--dependent",
    default="minimum-norm",
    show_default=True,
    type=choice("minimum-norm", "drop"),
    help="Of linearly dependent features: of the best weights those of least norm, as scikit-learn "
    "gives, or weight 0 for later ones, as R does.",
)
@click.option(
    "--ridge",
    default=0,
    show_default=True,
    type=NumberOrAuto(),
    help="Penalty on the weights, scikit-learn's alpha; auto chooses it by cross-validation.",
)
@click.option(
    "--folds",
    type=AT_LEAST_2,
    help="Of the cross-validation for --ridge auto; 5 unless given.",
)
@click.option("--no-bias", is_flag=True, help="Learn y = x @ W.T.")
@click.option(
    "--dtype",
    default="auto",
    show_default=True,
    type=choice("auto", "float32", "float64"),
    help="Of the graph; auto is float32 where that is accurate enough.",
)
@click.option(
    "--missing",
    default="error",
    show_default=True,
    type=choice("error", "drop", "mean"),
    help="What a missing value does; mean fills features with the training rows' mean.",
)
@click.option(
    "--null",
    "nulls",
    multiple=True,
    metavar="TOKEN",
    help="Also means missing, beside empty, NA, N/A, NaN and null; repeat.",
)
@click.option("--separator", metavar="C", help="Of CSV files. Default: by extension.")
@click.option("--decimal-comma", is_flag=True, help="Read 1,5 as one and a half.")
@click.option(
    "--holdout",
    default=0,
    show_default=True,
    type=FRACTION,
    help="Fraction of rows that only measure; the same share of every 100 rows.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=choice("cpu", "cuda", "auto"),
    help="Where the products over the rows are computed; auto is cpu.",
)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    type=choice("local", "ray"),
    help="What reads the rows; ray is a cluster's machines, with the same answer.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Of the Ray cluster. Default: RAY_ADDRESS, else one on this machine.",
)
@click.option(
    "--robust",
    is_flag=False,
    flag_value="HC3",
    type=choice("HC0", "HC1", "HC2", "HC3"),
    help="Standard errors that hold for errors of any variance; alone it means HC3.",
)
@click.option(
    "--from-moments",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Learn from saved moments instead of DATA, without the rows.",
)
@click.option(
    "--save-moments",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write what was learned from, to merge, subtract and learn from later.",
)
@click.option("--torch-export", is_flag=True, help="Add model.pt2 (takes some seconds).")
@click.option("--intervals", is_flag=True, help="Add intervals.onnx, with prediction intervals.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Record author, purpose, commit…; repeat.",
)
@click.option("--no-fingerprint", is_flag=True, help="Record no SHA-256 of the input files.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print the package's path alone.")
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
      train-and-export shops.csv -t revenue --one-hot region --missing mean
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
            raise InputError(f"--note {note!r}, expected KEY=VALUE", code="bad-option")
        notes[key] = value
    # What these imports make lives as long as the process: walking it again and again to look for
    # garbage would take a fifth of a small job's time.
    gc.disable()
    if options["data"] is not None and not options["no_fingerprint"]:
        begin(options["data"])
    try:
        with ending_at_once(["--json"] if options["as_json"] else []):
            from gradline_export.train_and_export import run
    finally:
        gc.freeze()
        gc.enable()
    run(notes=notes, **options)
