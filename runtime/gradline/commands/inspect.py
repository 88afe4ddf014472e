"""`gradline inspect`: what a package says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradline.commands import expect_name
from gradline.errors import PackageError
from gradline.terminal.output import say_json, show

if TYPE_CHECKING:
    from gradline.package.files import Package
    from gradline.presentation.selection import Shown
    from gradline.terminal.layout import Part

__all__ = ["command"]


@click.command(
    "inspect",
    short_help="Show a model's equations, metrics and origin.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.option(
    "--all", "everything", is_flag=True, help="Every feature and target of a large model."
)
@expect_name
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: str, everything: bool, name: str | None, as_json: bool) -> None:
    """Show the model in PACKAGE: its equations, how well and how surely it predicts, its origin.

    Seal, hashes and graph are checked first; nothing is computed. Of a large model, the features
    that weigh most and the targets that are predicted worst are shown.

    \b
      gradline inspect artifacts/orchard
      gradline inspect artifacts/orchard/1 --json
      gradline inspect model.onnx
    """
    from gradline.package.reading import read_package

    read = read_package(package, name=name)
    if as_json:
        graph = read.graph
        report = {
            "path": str(read.path),
            "version": read.version,
            "weights": graph.weights.tolist(),
            "bias": graph.bias.tolist(),
            "metadata": graph.metadata,
            "manifest": read.manifest,
        }
        say_json(report)
        return
    try:
        parts = describe(read, everything=everything)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise PackageError(
            f"manifest.json lacks what a package says of itself ({error!r})",
            code="bad-manifest",
            hint="get the package again from where it was published",
        ) from error
    show(parts)


def describe(package: Package, *, everything: bool) -> list[Part]:
    """Return what a package says, in the order of its report."""
    from gradline.presentation import provenance
    from gradline.presentation import sections as story
    from gradline.presentation.selection import Shown

    graph, manifest = package.graph, package.manifest
    if not manifest:
        return [
            *_title(package),
            *story.equations(graph.weights, graph.bias, graph.features, graph.targets),
            *_columns(package),
            "  a bare ONNX file: no seal, no golden rows, no training record",
        ]
    shown = Shown.of(graph, manifest, everything=everything)
    features, targets = shown.features(), shown.targets
    names = [graph.features[j] for j in features]
    shown_targets = [graph.targets[j] for j in targets]
    return [
        *_title(package),
        *story.equations(
            graph.weights[targets],
            graph.bias[targets],
            graph.features,
            shown_targets,
            shown.standardized[targets],
        ),
        *_left_out(shown, package),
        *_columns(package),
        *story.metrics(manifest["metrics"], shown_targets),
        *provenance.descent(manifest),
        *story.coefficients(graph, manifest, shown),
        *story.ranges(manifest["columns"], names, shown_targets),
        *provenance.proofs(manifest),
        *provenance.origin(manifest),
        *_use(package),
    ]


def _title(package: Package) -> list[Part]:
    from gradline.formatting import count
    from gradline.terminal.layout import Heading

    graph = package.graph
    version = "" if package.version is None else f" version {package.version}"
    said = (
        f"{graph.name}{version}: {count(len(graph.features), 'feature')}, "
        f"{count(len(graph.targets), 'target')}, {graph.dtype}"
    )
    return [Heading(said), ""]


def _left_out(shown: Shown, package: Package) -> list[Part]:
    """Return the line on what is shown of a large model, and how to see the rest."""
    features, targets = len(package.graph.features), len(package.graph.targets)
    chosen = []
    if len(shown.targets) < targets:
        chosen.append(f"{len(shown.targets)} of {targets} targets, those predicted worst")
    if shown.most < features:
        chosen.append(f"{shown.most} of {features:,} features, those that weigh most")
    if not chosen:
        return []
    return [f"  Shown are {', and '.join(chosen)}; --all shows every one.", ""]


def _columns(package: Package) -> list[Part]:
    """Return the lines on categories and fill values."""
    from gradline.formatting import categories, label, number
    from gradline.terminal.layout import Facts

    columns = package.graph.columns
    pairs = categories(columns)
    fills = [f"{label(c.name)} {number(c.fill)}" for c in columns if c.fill is not None]
    if fills:
        pairs.append(("missing", f"filled with {'; '.join(fills[:8])}{'; …' * (len(fills) > 8)}"))
    return [Facts(pairs, width=7), ""] if pairs else []


def _use(package: Package) -> list[Part]:
    """Return how to use the package."""
    import shlex

    from gradline.explain.contributions import column_figures
    from gradline.presentation.sections import how_to_predict
    from gradline.terminal.layout import Verbatim

    graph, path = package.graph, str(package.path)
    means = column_figures(package.manifest, graph.features, "mean")
    return [
        *how_to_predict(path, graph.columns, graph.features, means, "new.csv"),
        Verbatim(f"               over HTTP:  gradline serve {shlex.quote(path)}"),
    ]
