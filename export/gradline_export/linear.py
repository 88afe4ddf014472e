"""The function itself, as TorchScript and torch.export hold it.

TorchScript resolves annotations itself, so this module has no postponed ones. A TorchScript archive
records the module's path, so a move of this file would change the bytes of every `model.pt`; an
archive of torch.export records the line of the formula.
"""

import torch
from torch import Tensor


class LinearModel(torch.nn.Module):
    """y = x @ W.T + b.

    Attributes:
        weight: W, shape (k, d).
        bias: b, shape (k,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the predictions, shape (n, k), for rows of shape (n, d)."""
        return x @ self.weight.t() + self.bias
