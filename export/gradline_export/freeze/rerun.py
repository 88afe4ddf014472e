"""Run a published package's PyTorch files again, for `gradline verify`.

An archive of TorchScript or torch.export is a program, and a stranger's may write files. It is run
only if its bytes are those that this PyTorch writes for the package's W and b. Another release of
PyTorch may write other bytes.
"""

from __future__ import annotations

import torch

from gradline.package.files import Package
from gradline.package.reading import read_member
from gradline_export.freeze.formats import to_torch_export, to_torchscript
from gradline_export.freeze.parity import torch_hosts

WRITERS = {"model.pt": to_torchscript, "model.pt2": to_torch_export}


def rerun(package: Package) -> dict[str, float | str]:
    """Measure each PyTorch file's largest share of the bound, or say why it was not run."""
    found: dict[str, float | str] = {}
    for file, write in WRITERS.items():
        if package.golden is None or file not in package.manifest["files"]:
            continue
        data = read_member(package.path, package.manifest, file)
        if data != write(package.graph.weights, package.graph.bias):
            found[file] = f"not run: its bytes are not those of PyTorch {torch.__version__}"
            continue
        for host, predict in torch_hosts({file: data}).items():
            found[file] = package.golden.check(predict, package.graph, host)
    return found
