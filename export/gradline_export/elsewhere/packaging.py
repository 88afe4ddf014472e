"""Freeze a model that was learned elsewhere, prove it, and publish it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError, RefusedError
from gradline.package.manifest import TOO_MANY, file_record
from gradline.package.pipeline import MOST_COLUMNS
from gradline.tracebacks import short_tracebacks, warn_caller
from gradline_export.elsewhere.learned import Array, Learned, host_of
from gradline_export.freeze.formats import to_onnx
from gradline_export.freeze.freezing import Proved, prove_graph, seal
from gradline_export.freeze.manifest import LIBRARIES, check_notes
from gradline_export.freeze.parity import BOUND, check_parity, golden_rows, parity_rows
from gradline_export.freeze.pipelines import schema_of
from gradline_export.publish.publishing import check_name, publish
from gradline_trainer.rows.library_state import known_state

DTYPES = ("auto", "float32", "float64")


@short_tracebacks
def package_coefficients(
    weights: Any,
    bias: Any,
    features: str | Sequence[str],
    targets: str | Sequence[str],
    root: str | Path = "artifacts",
    name: str = "model",
    *,
    dtype: str = "auto",
    torch_export: bool = False,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Publish a linear model that was learned elsewhere; return its new version directory.

    What only training can know is absent from the package: metrics, statistics, ranges,
    certificates, and the report. The graph is proved as always.

    Args:
        weights: W, shape (k, d) or, for one target, (d,).
        bias: b, shape (k,), or one number for all targets.
        features: The d names of the inputs, which are plain numbers.
        targets: The k names of the outputs.
        root: The folder of packages.
        name: The package's name.
        dtype: Type of the graph. "auto" is float32 if it holds every coefficient exactly, else
            float64: without rows nobody can tell how far rounding moves a prediction.
        torch_export: Whether to add model.pt2.
        notes: Recorded unchanged: author, purpose, commit.

    Raises:
        InputError: For shapes that do not match, coefficients that are not finite numbers or are
            beyond 2^120, and names that are empty or not unique.
        RefusedError: If a frozen graph is outside the rounding bound; nothing is published.
        OutputError: If the folder can't be written.
    """
    learned = Learned.of_numbers(weights, bias, features, targets)
    files, told = freeze_learned(learned, name, dtype, torch_export=torch_export, notes=notes)
    warn_caller(told)  # an error, if the caller makes it one, leaves nothing behind
    return publish(files, root, name)


@known_state()
def freeze_learned(
    learned: Learned,
    name: str,
    dtype: str = "auto",
    *,
    torch_export: bool = False,
    notes: Mapping[str, str] | None = None,
) -> tuple[dict[str, bytes], list[str]]:
    """Make a package's files of a model, proved; return them, and what to warn of."""
    check_name(name)
    check_notes(notes or {})
    chosen, how = _choose_dtype(learned, dtype)
    told = [*learned.warnings, *([f"dtype {dtype}: {how}"] if "rounded" in how else [])]
    weights, bias = learned.weights.astype(chosen), learned.bias.astype(chosen)
    described = schema_of(learned.plan)
    onnx = to_onnx(weights, bias, name, learned.plan.features, learned.targets, *described)
    reach = _reach(weights, bias)
    ends = (-reach, reach)
    golden = golden_rows(reach / 2, ends, weights, bias, 0)
    proved = prove_graph(onnx, golden, ends, 0, torch_export=torch_export)
    if learned.predict is not None:
        _prove_own(learned, parity_rows(golden, weights, bias), proved)
    manifest = _manifest(learned, proved, how, notes or {})
    seal(proved.files, manifest)
    return proved.files, told


def _choose_dtype(learned: Learned, asked: str) -> tuple[np.dtype[Any], str]:
    """Choose the graph's dtype, and say what it does to the coefficients."""
    if asked not in DTYPES:
        raise InputError(
            f"dtype = {asked!r}: unknown", code="bad-option", hint=f"one of {', '.join(DTYPES)}"
        )
    both = np.append(learned.weights, learned.bias)
    exact = bool((both.astype(np.float32) == both).all())
    if asked == "float32" and not exact:
        unknown = "how far that moves predictions is unknown without the training rows"
        return np.dtype(np.float32), f"rounded to float32; {unknown}"
    if exact and asked != "float64":
        return np.dtype(np.float32), "exactly as given, float32"
    return np.dtype(np.float64), "exactly as given, float64"


def _reach(weights: NDArray[Any], bias: NDArray[Any]) -> Array:
    """Choose how far golden rows reach along each feature, shape (d,).

    At the end of its reach, each feature adds as much as the largest bias, or 1, to the target that
    it moves most, give or take a factor of 2. So a wrong weight shows, however small it is.
    """
    largest = np.abs(weights.astype(np.float64)).max(axis=0)
    exponents = np.frexp(np.where(largest > 0, largest, 1.0))[1]
    most = np.frexp(max(1.0, float(np.abs(bias).max())))[1]
    reach: Array = np.ldexp(1.0, np.clip(most - exponents, -60, 60))
    return reach


def _prove_own(learned: Learned, rows: NDArray[Any], proved: Proved) -> None:
    """Check the model's own answers: they must be within the rounding bound of float64."""
    predict, host = learned.predict, host_of(learned.made_by or {})
    assert predict is not None  # noqa: S101
    try:
        found = check_parity(
            {host: predict}, rows.astype(np.float64), learned.weights, learned.bias
        )
    except RefusedError as error:
        raise RefusedError(
            f"{error}: it does not answer x @ W.T + b of its own coefficients",
            code="no-parity",
            hint="nothing was published; package_coefficients publishes coefficients alone",
        ) from error
    proved.parity.extend(found)


def _manifest(
    learned: Learned, proved: Proved, how: str, notes: Mapping[str, str]
) -> dict[str, Any]:
    graph, parity = proved.graph, proved.parity
    too_many = graph.format == 2 and len(graph.plan.columns) > MOST_COLUMNS
    versions = {"python": platform.python_version(), **{n: version(n) for n in LIBRARIES}}
    return {
        "format": graph.format,
        "name": graph.name,
        "schema": graph.schema(),
        **({"pipeline": TOO_MANY} if too_many else {}),
        "origin": {
            "learned": "elsewhere",
            "with": None if learned.made_by is None else dict(learned.made_by),
            "weights": how,
            "versions": versions,
            "notes": dict(notes),
        },
        "parity": {
            "rows": parity[0].rows,
            "bound": BOUND,
            "within": [*(host.host for host in parity), *learned.agreed],
        },
        "files": {file: file_record(data) for file, data in proved.files.items()},
    }
