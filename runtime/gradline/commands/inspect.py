"""`gradline inspect`: show what a package says about its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradline.commands import HELP, as_json, expect_name, package_argument
from gradline.errors import PackageError
from gradline.formatting import categories, count, label, number
from gradline.terminal.layout import Element, Facts, Heading
from gradline.terminal.output import say_json, show

if TYPE_CHECKING:
    from gradline.package.files import Package
    from gradline.package.graph import Graph
    from gradline.presentation.selection import Shown


@click.command("inspect", context_settings=HELP)
@package_argument
@click.option(
    "--all", "everything", is_flag=True, help="Show every feature and target of a large model."
)
@expect_name
@as_json
def command(package: str, everything: bool, name: str | None, as_json: bool) -> None:
    """Show a model's equations, metrics and origin.

    The seal, hashes and graph of PACKAGE are checked first; nothing is computed. Of a large model,
    only the features that weigh most and the targets that are predicted worst are shown.

    \b
      gradline inspect artifacts/orchard
      gradline inspect artifacts/orchard/1 --json
      gradline inspect model.onnx
    """
    from gradline.package.reading import read_package

    read = read_package(package, name=name)
    if as_json:
        graph = read.graph
        say_json(
            {
                "path": str(read.path),
                "version": read.version,
                "weights": graph.weights.tolist(),
                "bias": graph.bias.tolist(),
                "metadata": graph.metadata,
                "manifest": read.manifest,
            }
        )
        return
    try:
        parts = describe(read, everything=everything)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise PackageError(
            f"manifest.json is incomplete ({error!r})", code="bad-manifest"
        ) from error
    show(parts)


def describe(package: Package, *, everything: bool) -> list[Element]:
    """List what a package says, in the order of its report."""
    from gradline.columns.targets import learned_names
    from gradline.package.manifest import learned_elsewhere
    from gradline.presentation import provenance, sections
    from gradline.presentation.selection import Shown, tolerances

    graph, manifest = package.graph, package.manifest
    if not manifest:
        bare = "  a bare ONNX file: no seal, no golden rows, no training record"
        return [*_equations(package), *_columns(package), bare]
    if learned_elsewhere(manifest):
        return _of_elsewhere(package)
    shown = Shown.of(graph, manifest, everything=everything)
    features = [graph.features[j] for j in shown.features()]
    targets = [graph.targets[j] for j in shown.targets]
    learned = [learned_names(graph.targets, graph.functions)[j] for j in shown.targets]
    weights, bias = graph.weights[shown.targets], graph.bias[shown.targets]
    standardized = shown.standardized[shown.targets]
    path = str(package.path)
    return [
        *_title(package),
        *sections.equation_facts(
            *(weights, bias, graph.features, learned, standardized),
            tolerances(manifest, graph.features, targets),
        ),
        *sections.scales([graph.functions[j] for j in shown.targets], targets),
        *_left_out(shown, package),
        *_columns(package),
        *sections.metrics(manifest["metrics"], targets),
        *provenance.descent(manifest),
        *sections.coefficients(graph, manifest, shown),
        *sections.ranges(manifest["columns"], features, targets, learned, _times(graph)),
        *provenance.proofs(manifest),
        *provenance.origin(manifest),
        *sections.how_to_predict(path, graph.plan, manifest["columns"], "new.csv"),
        sections.serving(path),
    ]


def _times(graph: Graph) -> list[str]:
    """List the features that are a time, in days."""
    pairs = zip(graph.features, graph.plan.terms, strict=True)
    return [name for name, term in pairs if [factor.function for factor in term] == ["time"]]


def _equations(package: Package) -> list[Element]:
    """Write the equations of a model whose columns' ranges are unknown."""
    from gradline.columns.targets import learned_names
    from gradline.presentation import sections
    from gradline.presentation.selection import seven_digits

    graph = package.graph
    digits = seven_digits(graph.weights, graph.bias)
    learned = learned_names(graph.targets, graph.functions)
    return [
        *_title(package),
        *sections.equation_facts(
            graph.weights, graph.bias, graph.features, learned, tolerances=digits
        ),
        *sections.scales(graph.functions, graph.targets),
    ]


def _of_elsewhere(package: Package) -> list[Element]:
    from gradline.presentation import provenance, sections

    path, graph = str(package.path), package.graph
    return [
        *_equations(package),
        *_columns(package),
        *provenance.elsewhere(package.manifest),
        *sections.how_to_predict(path, graph.plan, {}, "new.csv"),
        sections.serving(path),
    ]


def _title(package: Package) -> list[Element]:
    graph = package.graph
    version = "" if package.version is None else f" version {package.version}"
    size = f"{count(len(graph.features), 'feature')}, {count(len(graph.targets), 'target')}"
    return [Heading(f"{graph.name}{version}: {size}, {graph.dtype}"), ""]


def _left_out(shown: Shown, package: Package) -> list[Element]:
    """Say which part of a large model is shown, and how to see the rest."""
    features, targets = len(package.graph.features), len(package.graph.targets)
    chosen = []
    if len(shown.targets) < targets:
        chosen.append(f"{len(shown.targets)} of {targets} targets, those predicted worst")
    if shown.most < features:
        chosen.append(f"{shown.most} of {features:,} features, those that weigh most")
    return [f"  Shown are {', and '.join(chosen)}; --all shows every one.", ""] if chosen else []


def _columns(package: Package) -> list[Element]:
    from gradline.presentation.sections import decisions

    if decided := package.manifest.get("training", {}).get("columns"):
        return [Facts(decisions(decided), width=7), ""]
    columns = package.graph.plan.columns
    pairs = categories(columns)
    fills = [f"{label(c.name)} {number(c.fill)}" for c in columns if c.fill is not None]
    if fills:
        pairs.append(("missing", f"filled with {'; '.join(fills[:8])}{'; …' * (len(fills) > 8)}"))
    return [Facts(pairs, width=7), ""] if pairs else []
