"""Saving of objects that hold tensors."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor


class SavedAsArrays:
    """A dataclass that saves its tensors as NumPy arrays, for skops and pickle alike."""

    def __getstate__(self) -> dict[str, Any]:
        return {k: v.numpy() if isinstance(v, Tensor) else v for k, v in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        for field in fields(self):  # type: ignore[arg-type]
            if field.type == "Tensor" and not isinstance(state[field.name], Tensor):
                vars(self)[field.name] = torch.from_numpy(state[field.name])
