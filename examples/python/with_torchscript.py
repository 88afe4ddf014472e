"""PyTorch and the TorchScript file: python with_torchscript.py artifacts/orchard/1."""

import sys

import torch
from golden import check

model = torch.jit.load(f"{sys.argv[1]}/model.pt")
check(lambda rows: model(torch.from_numpy(rows)))
