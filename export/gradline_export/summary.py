"""The closing summary of `train-and-export`: for people, and as JSON."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradline.errors import PackageError
from gradline.formatting import categories, chosen_ridge, count, float32_error, in_doubt, number
from gradline.package.versions import locate
from gradline.presentation.sections import equation_facts, how_to_predict, metrics
from gradline.presentation.selection import standardized
from gradline.tables import TableFile
from gradline.terminal.layout import Element, Facts, Heading
from gradline_export.freeze.freezing import Frozen
from gradline_export.freeze.manifest import column_record, exactness_record, metrics_record
from gradline_trainer.descent.diagnosis import Optimality
from gradline_trainer.result import Fit


def summary(fit: Fit, frozen: Frozen, path: Path, *, verbose: bool = False) -> list[Element]:
    """Lay out the closing summary, which fits a terminal of 80 columns and 24 lines.

    Args:
        fit: The fit.
        frozen: What was published of it.
        path: The version's folder.
        verbose: Whether to add how training went and what was proved, as `gradline inspect` does.
    """
    features = fit.features
    package = str(path.parent)
    facts = _shortened(categories(fit.columns.inputs), package)
    if fit.ridge_path:
        facts.append(("ridge", chosen_ridge(asdict(fit.ridge_path))))
    if verbose:
        facts += [("descent", _descent(fit)), *_exactness(fit), ("parity", _parity(frozen))]
    if verbose or _is_forced(frozen):
        facts.append(("dtype", _dtype(frozen)))
    facts += [("package", str(path)), *_pin(path.parent)]
    return [
        Heading(
            f"{frozen.name}: {count(fit.moments.rows, 'row')}, {count(len(features), 'feature')}, "
            f"{count(len(fit.targets), 'target')}"
        ),
        "",
        *_model(fit, frozen, package),
        Facts(facts, width=7),
        "",
        *how_to_predict(
            package,
            fit.columns.inputs,
            features,
            fit.moments.mean[: len(features)],
            _from_here(fit.paths[0]) if fit.paths else "new.csv",
        ),
    ]


def _model(fit: Fit, frozen: Frozen, package: str) -> list[Element]:
    """Lay out equations and metrics, of the first targets if there are many."""
    found = metrics_record(fit)
    targets = fit.targets[: 2 if found["held_out"] else 4]
    k = len(targets)
    scaled = standardized(frozen.weights[:k], column_record(fit), fit.features, targets)
    left = len(fit.targets) - k
    return [
        *equation_facts(frozen.weights[:k], frozen.bias[:k], fit.features, targets, scaled),
        *metrics(found, targets),
        *([f"  {_more(left, package)}", ""] if left else []),
    ]


def _shortened(lines: list[tuple[str, str]], package: str) -> list[tuple[str, str]]:
    """Keep the first three lines and count the rest."""
    left = len(lines) - 3
    return [*lines[:3], ("", _more(left, package))] if left > 0 else lines


def _more(left: int, package: str) -> str:
    return f"… and {left} more (gradline inspect {package})"


def _from_here(path: TableFile) -> str:
    """Make a path inside the working folder relative to it; return others unchanged."""
    if isinstance(path, Path) and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def summary_record(fit: Fit, frozen: Frozen, path: Path) -> dict[str, Any]:
    """Make the summary's JSON object."""
    return {
        "name": frozen.name,
        "version": int(path.name),
        "path": str(path),
        "features": fit.features,
        "targets": fit.targets,
        "weights": frozen.weights.tolist(),
        "bias": frozen.bias.tolist(),
        "dtype": str(frozen.dtype),
        "rows": {
            "read": fit.rows_read,
            "dropped": fit.rows_dropped,
            "held_out": fit.rows_held_out,
            "trained": fit.moments.rows,
        },
        "arithmetic": fit.arithmetic.used,
        "epochs": len(fit.history),
        "last_epoch_rmse": math.sqrt(fit.history[-1]),
        "ridge": fit.options.ridge,
        "ridge_path": fit.ridge_path and asdict(fit.ridge_path),
        "learning_rate": fit.learning_rate,
        "largest_stable_rate": fit.largest_stable_rate,
        "converged": fit.converged,
        "optimality": asdict(fit.optimality),
        **({"supposed_dependent": fit.supposed} if fit.supposed else {}),
        "metrics": metrics_record(fit),
        "parity": [asdict(host) for host in frozen.parity],
        "warnings": fit.warnings,
    }


def _descent(fit: Fit) -> str:
    epochs = count(len(fit.history), "epoch")
    coordinates = f"{fit.options.preconditioning}, {fit.options.gradient_source}"
    where = "the optimum" if fit.converged else "not yet the optimum"
    if isinstance(fit.optimality, Optimality) and fit.optimality.gap is None:
        where = "rounding hides the optimum"
    where += in_doubt(fit.supposed)
    return (
        f"{epochs} with {coordinates}, learning rate {number(fit.learning_rate)}; RMSE of the "
        f"last epoch {math.sqrt(fit.history[-1]):.4f}, {where}"
    )


def _exactness(fit: Fit) -> list[tuple[str, str]]:
    record = exactness_record(fit).get("exact")
    if record is None:
        return []
    certified, total = record["certified"], record["coefficients"]
    said = "every coefficient" if certified == total else f"{certified} of {total} coefficients"
    zeros = f", {len(record['zeros'])} of them 0" if record["zeros"] else ""
    optimum = "the correctly rounded optimum" + in_doubt(fit.supposed)
    return [("exact", f"{said} certified as {optimum}{zeros}")]


def _parity(frozen: Frozen) -> str:
    hosts = [host.host for host in frozen.parity]
    share = max(host.share for host in frozen.parity)
    return (
        f"{', '.join(hosts[:-1])} and {hosts[-1]} each within the rounding bound of the exact "
        f"value on {frozen.parity[0].rows} rows (at most {share:.0%} of it)"
    )


def _is_forced(frozen: Frozen) -> bool:
    """Tell whether float32 was not accurate enough: an app may rely on float32."""
    return frozen.dtype.itemsize == 8 and frozen.certificate.verdict == "fails"


def _dtype(frozen: Frozen) -> str:
    c = frozen.certificate
    said = float32_error(c.error, c.target, c.limit, c.column)
    if frozen.dtype.itemsize == 4:
        return f"float32, which {said}"
    if _is_forced(frozen):
        return f"float64, since float32 fails: {said}"
    return f"float64, as asked; float32 {said}"


def _pin(folder: Path) -> list[tuple[str, str]]:
    """Describe an existing pin, which publishing never moves."""
    if not os.path.lexists(folder / "pinned"):
        return []
    try:
        version = locate(folder).version
    except PackageError as error:
        return [("", str(error))]
    return [("", f"pinned to version {version}: `load` keeps using it")]
