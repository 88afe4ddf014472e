"""`gradline diff`: what changes where one model takes another's place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from gradline.errors import InputError, RefusedError, nearest
from gradline.terminal.output import say_json, show

if TYPE_CHECKING:
    from gradline.package.comparison import Difference
    from gradline.package.files import Package
    from gradline.terminal.layout import Part

__all__ = ["command"]

SHOWN = 12  # coefficients of each target, those that change predictions most


@click.command(
    "diff",
    short_help="Compare two models: coefficients, and the change of predictions.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    help="Exit code 1 where the change can be more, in the target's units; repeat for each target.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    first: str, second: str, data: str | None, limits: tuple[str, ...], as_json: bool
) -> None:
    """Compare the model in SECOND with the one in FIRST.

    Without any data, a bound on the root-mean-square change of each target's predictions follows
    from the means and deviations of the features in both manifests. With --data the change is
    measured on those rows, and --max-change judges that instead.

    \b
      gradline diff artifacts/orchard/1 artifacts/orchard/2
      gradline diff artifacts/sales/3 artifacts/sales/4 --max-change revenue=50
      gradline diff artifacts/sales/3 artifacts/sales/4 --data lately.csv --max-change 50
    """
    from gradline.package.comparison import compare
    from gradline.package.reading import read_package

    packages = read_package(first), read_package(second)
    found = compare(*packages)
    allowed = _limits(limits, found.targets)
    measured = _measured(packages, data, found.targets) if data is not None else None
    if as_json:
        say_json(_record(packages, found, measured))
    else:
        show(_parts(packages, found, measured))
    _judge(found, measured, allowed)


def _limits(texts: tuple[str, ...], targets: list[str]) -> dict[str, float]:
    """Return the largest allowed change of each target that has one."""
    allowed: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.rpartition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not limit >= 0:
            raise InputError(
                f"--max-change {text!r}: expected a number that is not negative",
                code="bad-option",
                hint="such as --max-change 0.5, or --max-change TARGET=0.5",
            )
        if sign and name not in targets:
            raise InputError(
                f"--max-change names {name!r}, which is no target of both models",
                code="bad-option",
                hint=nearest(name, targets),
            )
        allowed.update({name: limit} if sign else dict.fromkeys(targets, limit))
    return allowed


def _measured(
    packages: tuple[Package, Package], data: str, targets: list[str]
) -> dict[str, dict[str, float]]:
    """Return the root mean square and the largest change of each target on a table's rows."""
    from gradline.scoring.changes import measure
    from gradline.tables import open_files

    return measure(*packages, open_files(data), targets)


def _judge(
    found: Difference, measured: dict[str, dict[str, float]] | None, allowed: dict[str, float]
) -> None:
    """Raise where a target changes by more than is allowed, or may."""
    if not allowed:
        return
    if found.only_first or found.only_second:
        raise RefusedError(
            f"only one model has {', '.join(map(repr, found.only_first + found.only_second))}",
            code="other-targets",
            hint="compare versions of one model",
        )
    if measured is None and found.bound is None:
        raise RefusedError(
            "a bare ONNX file says nothing of its features' ranges, so the change has no bound",
            code="no-bound",
            hint="give packages, or rows to measure it on: --data TABLE",
        )
    for j, target in enumerate(found.targets):
        if measured is not None:
            change, what = measured[target]["rms"], "changes by"
        else:
            assert found.bound is not None  # noqa: S101 - refused above
            change, what = float(found.bound[j]), "may change by"
        if target in allowed and not change <= allowed[target]:
            raise RefusedError(
                f"{target!r} {what} {change:.4g} (root mean square), more than {allowed[target]:g}",
                code="large-change",
                hint="" if measured else "the bound knows no correlations: --data TABLE measures",
            )


def _parts(
    packages: tuple[Package, Package],
    found: Difference,
    measured: dict[str, dict[str, float]] | None,
) -> list[Part]:
    from gradline.formatting import label, number
    from gradline.terminal.layout import Heading

    parts: list[Part] = [Heading(" → ".join(str(package.path) for package in packages))]
    for names, package in zip((found.only_first, found.only_second), packages, strict=True):
        parts += [f"  only in {package.path}: {', '.join(map(label, names))}"] * bool(names)
    for j, target in enumerate(found.targets):
        parts += ["", *_coefficients(found, j)]
        if found.bound is not None and found.shares is not None:
            bound = number(float(found.bound[j]))
            parts.append(
                f"  predictions change by at most {bound} (root mean square){_behind(found, j)}"
            )
        if measured is not None:
            change = measured[target]
            parts.append(
                f"  on {change['rows']:,.0f} rows by {number(change['rms'])} (root mean square), "
                f"at most {number(change['largest'])}"
            )
    return parts


def _behind(found: Difference, target: int) -> str:
    """Return the features that bring most of the bound."""
    import numpy as np

    from gradline.formatting import label, number

    assert found.shares is not None  # noqa: S101 - of a bound, which has shares
    shares = found.shares[target]
    most = [j for j in np.argsort(-shares, kind="stable")[:3] if shares[j] > 0]
    said = ", ".join(f"{label(found.features[j])} {number(shares[j])}" for j in most)
    return f": {said}" if said else ""


def _coefficients(found: Difference, target: int) -> list[Part]:
    """Return a table of a target's coefficients, those first that change predictions most."""
    import numpy as np

    from gradline.formatting import count, label, number
    from gradline.terminal.layout import Table

    before, after = found.weights[:, target]
    weight = np.abs(after - before) if found.shares is None else found.shares[target]
    order = np.argsort(-weight, kind="stable")
    rows = [
        [label(found.features[j]), *map(number, (before[j], after[j], after[j] - before[j]))]
        for j in order[:SHOWN]
    ]
    bias = found.bias[:, target]
    rows.append(["bias", *map(number, (bias[0], bias[1], bias[1] - bias[0]))])
    table = Table([[label(found.targets[target]), "first", "second", "change"], *rows])
    more = len(order) - SHOWN
    return [table, f"  … ({count(more, 'more feature')})"] if more > 0 else [table]


def _record(
    packages: tuple[Package, Package],
    found: Difference,
    measured: dict[str, dict[str, float]] | None,
) -> dict[str, Any]:
    changes = found.weights[1] - found.weights[0]
    targets = {}
    for j, target in enumerate(found.targets):
        targets[target] = {
            "weights": {
                name: {
                    "first": float(found.weights[0, j, i]),
                    "second": float(found.weights[1, j, i]),
                    "change": float(changes[j, i]),
                    "share": None if found.shares is None else float(found.shares[j, i]),
                }
                for i, name in enumerate(found.features)
            },
            "bias": {"first": float(found.bias[0, j]), "second": float(found.bias[1, j])},
            "bound": None if found.bound is None else float(found.bound[j]),
            "measured": None if measured is None else measured[target],
        }
    return {
        "first": str(packages[0].path),
        "second": str(packages[1].path),
        "only_first": found.only_first,
        "only_second": found.only_second,
        "targets": targets,
    }
