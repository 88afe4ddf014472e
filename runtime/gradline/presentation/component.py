"""The panel as one piece of HTML, for reports and for the served page."""

from __future__ import annotations

from importlib.resources import files


def component() -> str:
    """Write the element `gradline-panel`, after the scripts and the element that it uses."""
    folder = files("gradline.presentation")
    names = ("terms.js", "effects.html", "panel.html")
    terms, effects, panel = (folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return f"<script>\n{terms}</script>\n{effects}{panel}"
