"""What axe-core finds on a page, from npm, installed once into .cache/."""

from __future__ import annotations

from typing import Any

from browser import Page
from hosts import ROOT, npm

__all__ = ["resized", "serious"]

RUN = """
axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .flatMap(({ id, help, nodes }) => nodes.map(({ target, html, any, all, none }) =>
    `${id}: ${help}: ${target.join(" ")}: ${html.slice(0, 200)}: ` +
    [...any, ...all, ...none].map(({ message }) => message).join("; "))))
"""


def serious(page: Page) -> list[str]:
    """List the serious and critical findings, each with its element."""
    source = npm("axe", ROOT / "tests") / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(f"{source.read_text(encoding='utf-8')}; 0")
    found: list[str] = page.evaluate(RUN)
    return found


def resized(page: Page, width: int, height: int = 844, **more: Any) -> None:
    """Give the window a width in CSS pixels; below 500 it is a phone's."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.call("Emulation.setDeviceMetricsOverride", **size, **more)
