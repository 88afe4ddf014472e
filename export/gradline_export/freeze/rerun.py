"""A published package's PyTorch files, run again where PyTorch is installed.

A TorchScript or torch.export archive is a program: one of a stranger's making may write files. So
an archive is only run where its bytes are those that this PyTorch writes for the package's W and b;
that they are not may mean no more than that another release wrote them.
"""

from __future__ import annotations

import torch

from gradline.package.files import Package
from gradline.package.reading import read_member
from gradline_export.freeze.formats import to_torch_export, to_torchscript
from gradline_export.freeze.parity import torch_hosts

__all__ = ["rerun"]

WRITERS = {"model.pt": to_torchscript, "model.pt2": to_torch_export}


def rerun(package: Package) -> dict[str, float | str]:
    """Return, for each PyTorch file, the largest share of the bound that its golden rows use.

    Or why it was not run.

    Raises:
        PackageError: Where a file changed, or an answer is outside its bound.
    """
    found: dict[str, float | str] = {}
    for file, write in WRITERS.items():
        if package.golden is None or file not in package.manifest["files"]:
            continue
        data = read_member(package.path, package.manifest, file)
        if data != write(package.graph.weights, package.graph.bias):
            found[file] = f"not run: not what PyTorch {torch.__version__} writes"
            continue
        for host, predict in torch_hosts({file: data}).items():
            found[file] = package.golden.check(predict, package.graph, host)
    return found
