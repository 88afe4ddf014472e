"""Freeze a fit in memory, to predict with it."""

from __future__ import annotations

from pathlib import Path

from gradline.errors import RefusedError
from gradline.explain import MOST_FEATURES
from gradline.model import Model
from gradline.package.files import Package
from gradline.package.golden import Golden
from gradline.package.graph import parse_graph
from gradline_export.freeze.freezing import Frozen, freeze
from gradline_trainer.result import Fit


def model_of(fit: Fit) -> Model:
    """Build the model that the fit's package would load as.

    Raises:
        RefusedError: As `export_package` does.
    """
    frozen = _frozen(fit)
    files = frozen.files
    graph = parse_graph(files["model.onnx"])
    planned = graph.plan if graph.format == 2 else None
    package = Package(
        Path("fit"),
        None,
        files["model.onnx"],
        graph,
        frozen.manifest,
        Golden.parse(files["golden.json"], graph.weights.shape, graph.dtype, planned),
        files.get("pipeline.onnx"),
        files.get("intervals.onnx"),
    )
    return Model(package)


def _frozen(fit: Fit) -> Frozen:
    """Freeze a fit, with intervals.onnx if it has many features.

    With robust standard errors there are no intervals.
    """
    if len(fit.features) > MOST_FEATURES and not fit.options.robust:
        try:
            return freeze(fit, "fit", intervals=True, report=False, fingerprint=False)
        except RefusedError as error:
            if error.code != "no-intervals":
                raise
    return freeze(fit, "fit", report=False, fingerprint=False)
