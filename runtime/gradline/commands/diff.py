"""`gradline diff`: compare two models, and how far their predictions can differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gradline.commands import HELP, as_json
from gradline.commands.limits import parse_limits
from gradline.commands.scores import figures_of
from gradline.errors import InputError, RefusedError
from gradline.formatting import count, label, number
from gradline.terminal.layout import Element, Grid, Heading
from gradline.terminal.output import say_json, show, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradline.package.comparison import Difference
    from gradline.package.files import Package
    from gradline.scoring.changes import Change
    from gradline.scoring.errors import Score
    from gradline.tables import FrameTable

UNBOUNDED = "a bare ONNX file, or a model learned elsewhere, has no record of its features' ranges"
SHOWN = 12  # coefficients of each target, those that change predictions most


@click.command("diff", context_settings=HELP)
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@click.option(
    "--data", metavar="TABLE", type=click.Path(), help="Also measure the change on these rows."
)
@click.option(
    "--max-change",
    "limits",
    multiple=True,
    metavar="[TARGET=]X",
    help="Exit with 1 if the change may exceed X, in the target's units; repeat per target.",
)
@as_json
def command(
    first: str, second: str, data: str | None, limits: tuple[str, ...], as_json: bool
) -> None:
    """Compare two models and bound how predictions change.

    SECOND would take the place of FIRST. Without data, a bound on the root-mean-square change of
    each target follows from the features' means and deviations in both manifests. With --data, the
    change is measured on those rows, and --max-change judges the measured one. If TABLE has a
    target's column, the models' RMSE and R² are compared, too.

    \b
      gradline diff artifacts/orchard/1 artifacts/orchard/2
      gradline diff artifacts/sales/3 artifacts/sales/4 --max-change revenue=50
      gradline diff artifacts/sales/3 artifacts/sales/4 --data recent.csv --max-change 50
    """
    from gradline.package.comparison import compare
    from gradline.package.reading import read_package

    packages = read_package(first), read_package(second)
    found = compare(*packages)
    allowed = parse_limits("--max-change", limits, found.targets)
    measured: Measured | None = None
    if data is not None:
        from gradline.tables import open_files

        table = open_files(data)
        for note in table.notes:
            warn(note)
        measured = _measure(packages, table, found.targets)
    if as_json:
        say_json(_record(packages, found, measured))
    else:
        show(_parts(packages, found, measured))
    _judge(found, measured, allowed)


@dataclass(frozen=True)
class Measured:
    """What the rows of --data show."""

    change: Change
    scores: Sequence[Mapping[str, Score]]  # of both models, by target; empty without the truth


def _measure(
    packages: tuple[Package, Package], table: FrameTable, targets: Sequence[str]
) -> Measured:
    """Measure the change of the predictions; score both models if the table has targets."""
    from gradline.scoring.changes import measure

    change = measure(*packages, table, targets)
    for package, counts in zip(packages, change.counts, strict=True):
        for note in counts.warnings("zero"):
            warn(f"{package.path}: {note}")
    return Measured(change, _scores(packages, table, [t for t in targets if t in table.names]))


def _scores(
    packages: tuple[Package, Package], table: FrameTable, targets: Sequence[str]
) -> Sequence[Mapping[str, Score]]:
    if not targets:
        return [{}, {}]
    from gradline.model import Model
    from gradline.scoring.evaluation import Evaluation

    models = list(map(Model, packages))
    found = Evaluation(models, table, targets=targets, unknown_category="zero")
    try:
        scores = found.scores()
    except InputError as error:
        warn(f"RMSE and R² are not compared: {error}")
        return [{}, {}]
    for note in found.notes:
        warn(note)
    return scores


def _judge(found: Difference, measured: Measured | None, allowed: dict[str, float]) -> None:
    if not allowed:
        return
    if found.only_first or found.only_second:
        raise RefusedError(
            f"only one model has {', '.join(map(repr, found.only_first + found.only_second))}",
            code="other-targets",
            hint="compare versions of one model",
        )
    if measured is not None:
        changes = {target: figures["rms"] for target, figures in measured.change.figures.items()}
        verb, hint = "changes by", ""
    elif found.bound is not None:
        changes = dict(zip(found.targets, found.bound.tolist(), strict=True))
        _refuse_logged(found, allowed)
        verb, hint = "may change by", "the bound ignores correlations: measure with --data TABLE"
    else:
        raise RefusedError(
            f"{UNBOUNDED}, so the change has no bound",
            code="no-bound",
            hint="give packages, or rows to measure it on: --data TABLE",
        )
    for target in found.targets:
        if target in allowed and not changes[target] <= allowed[target]:
            change = f"{verb} {changes[target]:.4g} (root mean square)"
            raise RefusedError(
                f"{target!r} {change}, more than {allowed[target]:g}",
                code="large-change",
                hint=hint,
            )


def _refuse_logged(found: Difference, allowed: dict[str, float]) -> None:
    """Refuse to judge a target in its units if only the change of its logarithm is bounded."""
    for target, names in zip(found.targets, found.learned, strict=True):
        if target in allowed and set(names) != {target}:
            raise RefusedError(
                f"the change of {target!r} has no bound in its units, as a logarithm is learned",
                code="no-bound",
                hint="measure it on rows: --data TABLE",
            )


def _parts(
    packages: tuple[Package, Package], found: Difference, measured: Measured | None
) -> list[Element]:
    parts: list[Element] = [Heading(" → ".join(str(package.path) for package in packages))]
    for names, package in zip((found.only_first, found.only_second), packages, strict=True):
        if names:
            parts.append(f"  only in {package.path}: {', '.join(map(label, names))}")
    if found.bound is None and measured is None:
        parts.append(f"  no bound on the change: {UNBOUNDED} (--data TABLE measures it)")
    for j, target in enumerate(found.targets):
        parts += ["", *_coefficients(found, j)]
        if found.bound is not None and found.shares is not None and found.bound[j] >= 0:
            bound = number(float(found.bound[j]))
            most = _largest(found.shares[j], found.features)
            of = "" if found.learned[j][1] == target else f" of {label(found.learned[j][1])}"
            parts.append(f"  predictions{of} change by at most {bound} (root mean square){most}")
        if measured is not None:
            parts += _on_rows(measured, target)
    return parts


def _on_rows(measured: Measured, target: str) -> list[Element]:
    """Report one target's change and scores on the rows."""
    change, skipped = measured.change.figures[target], measured.change.skipped
    parts: list[Element] = [
        f"  on {change['rows']:,.0f} rows by {number(change['rms'])} (root mean square), "
        f"at most {number(change['largest'])}"
    ]
    if skipped:
        parts.append(f"  {count(skipped, 'row')} skipped, without a prediction from both models")
    first, second = (scores.get(target) for scores in measured.scores)
    if first is None or second is None:
        return parts
    rmse = " → ".join(number(score.rmse) for score in (first, second))
    r2 = " → ".join("–" if s.r2 is None else f"{s.r2:.4f}" for s in (first, second))
    without = first.without_truth
    rest = f", {count(without, 'row')} without a true value skipped" if without else ""
    return [*parts, f"  RMSE {rmse}, R² {r2} on {count(first.rows, 'row')}{rest}"]


def _largest(shares: NDArray[np.float64], features: list[str]) -> str:
    most = [j for j in (-shares).argsort(kind="stable")[:3] if shares[j] > 0]
    named = ", ".join(f"{label(features[j])} {number(shares[j])}" for j in most)
    return f": {named}" if named else ""


def _coefficients(found: Difference, target: int) -> list[Element]:
    """Tabulate a target's coefficients, those first that change predictions most."""
    before, after = found.weights[:, target]
    effect = abs(after - before) if found.shares is None else found.shares[target]
    order = (-effect).argsort(kind="stable")
    pairs = [(label(found.features[j]), before[j], after[j]) for j in order[:SHOWN]]
    pairs.append(("bias", *found.bias[:, target]))
    rows = [[name, *map(number, (old, new, new - old))] for name, old, new in pairs]
    learned = label(" → ".join(dict.fromkeys(found.learned[target])))
    table = Grid([[learned, "first", "second", "change"], *rows])
    more = len(order) - SHOWN
    return [table, f"  … ({count(more, 'more feature')})"] if more > 0 else [table]


def _record(
    packages: tuple[Package, Package], found: Difference, measured: Measured | None
) -> dict[str, Any]:
    targets = {}
    for j, target in enumerate(found.targets):
        before, after = found.weights[:, j].tolist()
        shares = [None] * len(before) if found.shares is None else found.shares[j].tolist()
        figures = zip(found.features, before, after, shares, strict=True)
        bound = None if found.bound is None else float(found.bound[j])
        targets[target] = {
            "weights": {
                name: {"first": old, "second": new, "change": new - old, "share": share}
                for name, old, new, share in figures
            },
            "bias": {"first": float(found.bias[0, j]), "second": float(found.bias[1, j])},
            "bound": None if bound is None or math.isnan(bound) else bound,
            "measured": _measured(measured, target),
        }
    return {
        "first": str(packages[0].path),
        "second": str(packages[1].path),
        "only_first": found.only_first,
        "only_second": found.only_second,
        "targets": targets,
    }


def _measured(measured: Measured | None, target: str) -> dict[str, Any] | None:
    if measured is None:
        return None
    first, second = (scores.get(target) for scores in measured.scores)
    scores = None
    if first is not None and second is not None:
        scores = {"first": figures_of(first), "second": figures_of(second)}
    change = measured.change
    return {**change.figures[target], "skipped": change.skipped, "scores": scores}
