"""gradline_export: write a model as ONNX and TorchScript, check that they agree, and publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradline.errors import needs_extra

if TYPE_CHECKING:
    from gradline_export.exporting import export_package, package_coefficients

__all__ = ["export_package", "package_coefficients"]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradline")
    # PyTorch takes a second to import, so it is imported with the first use of a name.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra():
        from gradline_export import exporting
    return getattr(exporting, name)
