"""PyTorch and the torch.export program, for a package made with --torch-export."""

import sys

import torch
from golden import check

model = torch.export.load(f"{sys.argv[1]}/model.pt2").module()
check(lambda rows: model(torch.from_numpy(rows)))
