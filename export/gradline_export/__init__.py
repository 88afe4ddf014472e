"""gradline_export: freeze a fit as ONNX and TorchScript, prove them, and publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradline.errors import needs_extra

if TYPE_CHECKING:
    from gradline_export.exporting import export_package

__all__ = ["export_package"]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import, so it is imported on first use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra():
        from gradline_export import exporting
    return getattr(exporting, name)
