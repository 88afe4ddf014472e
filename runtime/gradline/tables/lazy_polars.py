"""Polars, imported at its first use: arrays and the light install do without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradline.errors import needs_extra

__all__ = ["pl"]

if TYPE_CHECKING:
    import polars as pl
else:

    class _Polars:
        def __getattr__(self, name: str) -> Any:
            try:
                import polars
            except ImportError:  # needs_extra takes microseconds, too long for every access
                with needs_extra():
                    raise
            return getattr(polars, name)

    pl = _Polars()
