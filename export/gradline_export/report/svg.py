"""Draw plots as inline SVG in the page's own colours, light or dark, and fonts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import StringIO
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from gradline.errors import needs_extra
from gradline.terminal.printable import for_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Placeholders that `_inline` replaces by the page's colours.
TEXT, QUIET, LINE = "#010101", "#020202", "#030303"
ACCENT, WARN = "#040404", "#050505"
COLOURS = {TEXT: "text", QUIET: "quiet", LINE: "line", ACCENT: "accent", WARN: "warn"}
STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": QUIET,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib: same widths on every machine
    "font.size": 9,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "gradline",  # same identifiers in every run
    "text.color": TEXT,
    "text.parse_math": False,  # a dollar sign does not start a formula
    "xtick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.color": LINE,
    "ytick.labelcolor": QUIET,
}
# matplotlib derives identifiers from printed arrays.
PRINTED: dict[str, Any] = {"precision": 8, "floatmode": "maxprec", "legacy": False}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
POINTS = 72  # per inch
DRAWING = Lock()  # matplotlib's settings are global


def plot_as_svg(
    name: str, title: str, paint: Callable[[Axes], None], width: float = 320, height: float = 230
) -> Markup:
    """Make a plot an element of a page, of this size in pixels; the same plot gives the same bytes.

    `name` is unique in the page and starts the plot's identifiers; screen readers say the title.
    """
    with needs_extra():
        from matplotlib import rc_context, rcdefaults, rcParams
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    written = StringIO()
    with DRAWING, rc_context(), np.printoptions(**PRINTED), warnings.catch_warnings():
        # matplotlib warns of letters that its own font lacks.
        warnings.simplefilter("ignore")
        rcdefaults()  # ignore the user's matplotlibrc
        rcParams.update(STYLE)
        figure = Figure((width / POINTS, height / POINTS), POINTS, layout="constrained")
        paint(figure.subplots())
        # `savefig` would draw twice.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata=NO_METADATA)
    return Markup(_inline(written.getvalue(), name, title, width))  # noqa: S704 - escaped by both


def _inline(document: str, name: str, title: str, width: float) -> str:
    """Strip from an SVG what only a separate file needs."""
    body = document[document.index("<svg") :].partition(">")[2]
    box = re.search(r'viewBox="([^"]*)"', document)
    assert box is not None  # noqa: S101 - matplotlib writes one
    body = re.sub(r"<(metadata|style)[ >].*?</\1>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([\w.-]+)', body))
    body = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in used else "", body)
    body = re.sub(r'( id="|href="#|url\(#)([\w.-]+)', rf"\1{name}-\2", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r"#0[1-5]0\d0\d", lambda m: f"var(--{COLOURS[m[0]]})", body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return (
        f'<svg viewBox="{box[1]}" style="width: {1.3 * width:g}px; min-width: {width:g}px" '
        f'role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(for_page(title))}</title>{body}'
    )
