"""`gradline inspect`: what a package says of itself."""

from __future__ import annotations

from typing import Any

import click

from gradline.errors import PackageError
from gradline.terminal import say, say_json

__all__ = ["command"]

# Of a model whose coefficients are shown one by one.
MOST_FEATURES = 20
MOST_TARGETS = 8


@click.command(
    "inspect",
    short_help="Show a model's equations, metrics and origin.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: str, as_json: bool) -> None:
    """Show the model in PACKAGE: its equations, its metrics and how it was made.

    Seal, hashes and graph are checked first; nothing is computed.

    \b
      gradline inspect artifacts/orchard
      gradline inspect artifacts/orchard/1 --json
      gradline inspect model.onnx
    """
    from gradline.package import Package, read_package

    read: Package = read_package(package)
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
        lines = describe(read)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise PackageError(
            f"manifest.json lacks what a package says of itself ({error!r})",
            code="bad-manifest",
            hint="get the package again from where it was published",
        ) from error
    say("\n".join(lines))


def describe(package: Any) -> list[str]:
    """Return the lines that describe a package."""
    from gradline.wording import count, equations

    graph, manifest = package.graph, package.manifest
    version = "" if package.version is None else f" version {package.version}"
    lines = [
        f"{graph.name}{version}: {count(len(graph.features), 'feature')}, "
        f"{count(len(graph.targets), 'target')}, "
        f"{graph.dtype}",
        "",
        *(
            f"  {line}"
            for line in equations(graph.weights, graph.bias, graph.features, graph.targets)
        ),
        "",
        *_columns(graph.columns),
    ]
    if not manifest:
        return [*lines, "  a bare ONNX file: no seal, no golden rows, no training record"]
    return [
        *lines,
        *_metrics(manifest),
        *_statistics(graph, manifest),
        *_record(manifest),
        f"  at         {package.path}",
    ]


def _columns(columns: list[Any]) -> list[str]:
    """Return the lines on categories and fill values."""
    from gradline.wording import categories, label, number

    lines = categories(columns)
    fills = [f"{label(c.name)} {number(c.fill)}" for c in columns if c.fill is not None]
    if fills:
        shown = "; ".join(fills[:8]) + ("; …" if len(fills) > 8 else "")
        lines.append(f"  missing  filled with {shown}")
    return [*lines, ""] if lines else []


def _metrics(manifest: dict[str, Any]) -> list[str]:
    from gradline.wording import aligned, label, number

    lines = []
    for which, found in manifest["metrics"].items():
        if found:
            rows = [[label(target), *map(number, m.values())] for target, m in found.items()]
            lines += [*aligned([[which.replace("_", " "), "RMSE", "MAE", "R²"], *rows]), ""]
    return lines


def _statistics(graph: Any, manifest: dict[str, Any]) -> list[str]:
    """Return the tables of coefficients with their standard errors, of a small model."""
    from gradline.statistics import statistics_lines

    found = manifest.get("statistics")
    if not found or len(graph.features) > MOST_FEATURES or len(graph.targets) > MOST_TARGETS:
        return []
    targets = {}
    for target, weights, bias in zip(graph.targets, graph.weights, graph.bias, strict=True):
        coefficients = [*weights.tolist(), float(bias)][: len(found["terms"])]
        targets[target] = {**found["targets"][target], "coefficient": coefficients}
    return [*statistics_lines({**found, "targets": targets}), ""]


def _record(manifest: dict[str, Any]) -> list[str]:
    from gradline.wording import chosen_ridge, count, float32_error, label, number

    training, certificate = manifest["training"], manifest["certificates"]["float32"]
    told = {name: certificate[name] for name in ("error", "target", "limit", "column")}
    rows, path = training["rows"], training.get("ridge_path")
    ranges = [
        f"{label(name)} {number(c['minimum'])} … {number(c['maximum'])}"
        for name, c in list(manifest["columns"].items())[:8]
    ]
    files = ", ".join(file["name"] for file in training["files"]) or "none, a table in memory"
    return [
        f"  rows       {rows['read']:,} read, {rows['dropped']:,} dropped, "
        f"{rows['held_out']:,} held out",
        f"  ranges     {'; '.join(ranges)}" + ("; …" if len(manifest["columns"]) > 8 else ""),
        f"  trained    {count(training['epochs'], 'epoch')}, {_coordinates(training)}, rate "
        f"{number(training['learning_rate'])}",
        *([f"  ridge      {chosen_ridge(path)}"] if path else []),
        f"  optimum    {_optimum(manifest)}",
        *_leverage(manifest.get("leverage")),
        *_intervals(manifest.get("intervals")),
        f"  files      {files}",
        f"  float32    {certificate['verdict']}: {float32_error(**told)}",
        f"  parity     {', '.join(manifest['parity']['within'])} within the rounding bound on "
        f"{manifest['parity']['rows']} rows",
        *(f"  note       {key}: {value}" for key, value in training["notes"].items()),
        *(f"  warning    {warning}" for warning in training["warnings"]),
    ]


def _leverage(found: dict[str, Any] | None) -> list[str]:
    """Return the line on hidden extrapolation, where the package can tell it."""
    from gradline.wording import number

    if found is None:
        return []
    said = "the largest of a training row" if found["rule"] == "largest" else found["rule"]
    return [f"  leverage   up to {number(found['limit'])}, {said}"]


def _intervals(found: dict[str, Any] | None) -> list[str]:
    """Return the line on prediction intervals, where the package has them."""
    from gradline.wording import label, number

    if found is None:
        return []
    most = list(found["residual_deviation"].items())[:8]
    half = "; ".join(
        f"{label(name)} ± {number(value * found['quantiles']['0.95'])}" for name, value in most
    )
    return [
        f"  intervals  at 95 % at least {half} ({found['degrees_of_freedom']:,} degrees of freedom)"
    ]


def _optimum(manifest: dict[str, Any]) -> str:
    """Return how near the weights are to the optimum, and how they were computed."""
    from gradline.wording import number

    training, certificates = manifest["training"], manifest["certificates"]
    found, exact = certificates["optimality"], certificates.get("exact")
    said = "reached" if found["converged"] else "not reached"
    if found.get("weights_error") is not None:
        said += f", W in float64 within {number(found['weights_error'])} of it"
    if exact:
        said += f"; {exact['certified']} of {exact['coefficients']} coefficients correctly rounded"
    return f"{said} ({training['arithmetic']} arithmetic: {training['arithmetic_reason']})"


def _coordinates(training: dict[str, Any]) -> str:
    return f"{training['options']['preconditioning']}, {training['gradient']}"
