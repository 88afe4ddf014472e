"""The closing summary of `train-and-export`: for people, and as JSON."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradline.columns.kinds import Column
from gradline.columns.targets import dump_functions, learned_names
from gradline.errors import PackageError
from gradline.formatting import categories, chosen_ridge, count, in_doubt, number, reached
from gradline.package.versions import locate
from gradline.presentation.sections import (
    decisions,
    equation_facts,
    how_to_predict,
    metrics,
    scales,
    serving,
)
from gradline.presentation.selection import standardized, tolerances
from gradline.tables import TableFile
from gradline.terminal.layout import Element, Facts, Heading, Verbatim
from gradline_export.freeze.freezing import Frozen
from gradline_trainer.result import Fit


def summary(
    fit: Fit, frozen: Frozen, path: Path, reading: Sequence[str], *, verbose: bool = False
) -> list[Element]:
    """Lay out the closing summary, which fits a terminal of 80 columns and 24 lines.

    `path` is the version's folder, and `reading` the options that the table needs. `verbose` adds
    how training went and what was proved.
    """
    features, package = fit.features, str(path.parent)
    facts = decisions([asdict(decision) for decision in fit.columns.decisions])
    if not fit.columns.has_format_2:
        facts += _one_hot(fit.columns.inputs, package)
    if fit.ridge_path:
        facts.append(("ridge", chosen_ridge(asdict(fit.ridge_path))))
    if verbose:
        facts += [("descent", _descent(fit, frozen)), *_exactness(frozen)]
        facts.append(("parity", _parity(frozen)))
    if verbose or _is_forced(frozen):
        facts.append(("dtype", _dtype(frozen)))
    pin = _pin(path.parent)
    facts += [("package", str(path)), *pin]
    if "report.html" in frozen.files:
        facts.append(("report", str(path / "report.html")))
    loaded = str(path) if pin else package  # a pinned folder loads another version
    size = [(fit.moments.rows, "row"), (len(features), "feature"), (len(fit.targets), "target")]
    table = _from_here(fit.paths[0]) if fit.paths else "new.csv"
    lines = how_to_predict(loaded, fit.columns.plan, frozen.manifest["columns"], table, reading)
    return [
        Heading(f"{frozen.manifest['name']}: {', '.join(count(*part) for part in size)}"),
        "",
        *_model(fit, frozen, package),
        Facts(facts, width=7),
        Verbatim(f"  more     {shlex.join(['gradline', 'inspect', loaded])}"),
        *lines,
        *([] if fit.paths and len(lines) > 1 else [serving(loaded)]),  # two that work as they are
    ]


def _model(fit: Fit, frozen: Frozen, package: str) -> list[Element]:
    """Lay out equations and metrics, of the first targets if there are many."""
    found = frozen.manifest["metrics"]
    logged = any(fit.target_functions)
    targets = fit.targets[: 2 if found["held_out"] or logged else 4]
    k = len(targets)
    weights, bias = frozen.weights[:k], frozen.bias[:k]
    scaled = standardized(weights, frozen.manifest["columns"], fit.features, targets)
    learned = learned_names(fit.targets, fit.target_functions)[:k]
    left = len(fit.targets) - k
    return [
        *equation_facts(
            *(weights, bias, fit.features, learned, scaled),
            tolerances(frozen.manifest, fit.features, targets),
        ),
        *scales(fit.target_functions, targets),
        *metrics(found, targets),
        *([f"  {_more(left, package)}", ""] if left else []),
    ]


def _one_hot(columns: Sequence[Column], package: str) -> list[tuple[str, str]]:
    """Lay out a line for each category of --one-hot."""
    found = categories(columns)
    return [*found[:3], ("", _more(len(found) - 3, package))] if len(found) > 3 else found


def _more(left: int, package: str) -> str:
    return f"… and {left} more (gradline inspect {package})"


def _from_here(path: TableFile) -> str:
    """Make a path inside the working folder relative to it; return others unchanged."""
    if isinstance(path, Path) and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def summary_record(fit: Fit, frozen: Frozen, path: Path) -> dict[str, Any]:
    """Make the summary's JSON object."""
    training = frozen.manifest["training"]
    functions = dump_functions(fit.target_functions)
    return {
        "name": frozen.manifest["name"],
        "version": int(path.name),
        "path": str(path),
        "features": fit.features,
        "targets": fit.targets,
        **({"target_functions": functions} if functions else {}),
        "weights": frozen.weights.tolist(),
        "bias": frozen.bias.tolist(),
        "dtype": str(frozen.weights.dtype),
        "rows": training["rows"],
        "arithmetic": training["arithmetic"],
        "epochs": training["epochs"],
        "last_epoch_rmse": math.sqrt(fit.history[-1]),
        "ridge": fit.options.ridge,
        "ridge_path": training["ridge_path"],
        "learning_rate": fit.learning_rate,
        "largest_stable_rate": fit.largest_stable_rate,
        "converged": fit.converged,
        "optimality": asdict(fit.optimality),
        **({"supposed_dependent": fit.supposed} if fit.supposed else {}),
        "metrics": frozen.manifest["metrics"],
        "parity": [asdict(host) for host in frozen.parity],
        "columns": [asdict(decision) for decision in fit.columns.decisions],
        "warnings": fit.warnings,
    }


def _descent(fit: Fit, frozen: Frozen) -> str:
    coordinates = f"{fit.options.preconditioning}, {fit.options.gradient_source}"
    return (
        f"{count(len(fit.history), 'epoch')} with {coordinates}, learning rate "
        f"{number(fit.learning_rate)}; RMSE of the last epoch {math.sqrt(fit.history[-1]):.4f}, "
        f"{reached(frozen.manifest['certificates']['optimality'])}{in_doubt(fit.supposed)}"
    )


def _exactness(frozen: Frozen) -> list[tuple[str, str]]:
    certificates = frozen.manifest["certificates"]
    if "exact" not in certificates:
        return []
    record = certificates["exact"]
    certified, total = record["certified"], record["coefficients"]
    said = "every coefficient" if certified == total else f"{certified} of {total} coefficients"
    zeros = f", {len(record['zeros'])} of them 0" if record["zeros"] else ""
    doubt = in_doubt(certificates["optimality"].get("supposed_dependent"))
    return [("exact", f"{said} certified as the correctly rounded optimum{doubt}{zeros}")]


def _parity(frozen: Frozen) -> str:
    hosts = [host.host for host in frozen.parity]
    share = max(host.share for host in frozen.parity)
    return (
        f"{', '.join(hosts[:-1])} and {hosts[-1]} each within the rounding bound of the exact "
        f"value on {frozen.parity[0].rows} rows (at most {share:.0%} of it)"
    )


def _is_forced(frozen: Frozen) -> bool:
    """Tell whether float32 was not accurate enough: an app may rely on float32."""
    return frozen.weights.dtype == "float64" and frozen.certificate.verdict == "fails"


def _dtype(frozen: Frozen) -> str:
    if frozen.weights.dtype == "float32":
        return f"float32, which {frozen.certificate}"
    if _is_forced(frozen):
        return f"float64, since float32 fails: {frozen.certificate}"
    return f"float64, as asked; float32 {frozen.certificate}"


def _pin(folder: Path) -> list[tuple[str, str]]:
    """Describe an existing pin, which publishing never moves."""
    if not os.path.lexists(folder / "pinned"):
        return []
    try:
        version = locate(folder).version
    except PackageError as error:
        return [("", str(error))]
    return [("", f"pinned to version {version}: `load` keeps using it")]
