"""The panel as one piece of HTML, for reports and for the served page."""

from __future__ import annotations

from importlib.resources import files


def component() -> str:
    """Write the element `gradline-panel`, behind the functions that it calls."""
    folder = files("gradline.presentation")
    terms, panel = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("terms.js", "panel.html")
    )
    return f"<script>\n{terms}</script>\n{panel}"
