"""Freeze a fit in memory, for its own predictions."""

from __future__ import annotations

from pathlib import Path

from gradline.model import Model
from gradline.package.files import Package
from gradline.package.golden import Golden
from gradline.package.graph import parse_graph
from gradline_export.freeze.freezing import freeze
from gradline_trainer.result import Fit


def model_of(fit: Fit) -> Model:
    """Make the model that a package of the fit would give, with the same answers.

    Raises:
        RefusedError: As `export_package` does.
    """
    frozen = freeze(fit, "fit", report=False, fingerprint=False)
    files = frozen.files
    graph = parse_graph(files["model.onnx"])
    planned = graph.plan if graph.format == 2 else None
    golden = Golden.parse(files["golden.json"], graph.weights.shape, graph.dtype, planned)
    pipeline = files.get("pipeline.onnx")
    return Model(
        Package(Path("fit"), None, files["model.onnx"], graph, frozen.manifest, golden, pipeline)
    )
