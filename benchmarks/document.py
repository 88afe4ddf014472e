"""Write the tables of README and docs/benchmarks.md from results.json.

A page marks the place of a table: `<!-- results: NAME -->`, the table, `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "with_tables"]

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
PLACE = re.compile(r"(<!-- results: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MEMORY = ", peak memory"
SCRIPTS = ("pandas", "polars")  # as the names of the peers of whole jobs begin
Line = dict[str, Any]  # a Comparison and whether it reached its goal
Kept = dict[str, dict[str, Any]]  # results.json: by bench, its machine and its lines
View = Callable[[Kept], Iterator[str]]  # yields the lines of a table


def with_tables(page: str, kept: Kept) -> str:
    """Replace the tables of a page by those of the results."""

    def table(place: re.Match[str]) -> str:
        return "\n".join([place[1], *VIEWS[place[2]](kept), "", place[3]])

    return PLACE.sub(table, page)


def _by_peer(bench: str) -> View:
    """Make a view with a column for each peer."""

    def view(kept: Kept) -> Iterator[str]:
        for cells in _pivoted(kept[bench]["results"], _times):
            yield _row(*cells)
        yield from ("", _measured_on(kept[bench]))

    return view


def _pivoted(lines: Sequence[Line], cell: Callable[[Line], str]) -> Iterator[list[str]]:
    """Yield the head, its rule, and a row for each job."""
    peers = list(dict.fromkeys(line["peer"] for line in lines))
    yield from _head("", *peers)
    for what in dict.fromkeys(line["what"] for line in lines):
        cells = {line["peer"]: cell(line) for line in lines if line["what"] == what}
        yield [what, *(cells.get(peer, "") for peer in peers)]


def _errors(kept: Kept) -> Iterator[str]:
    """Write each answer's error, gradline's first."""
    lines = [line for line in kept["training"]["results"] if line["error"] is not None]
    ours = {line["what"]: _error(line["error"]) for line in lines}
    head, rule, *rows = _pivoted(lines, lambda line: _error(line["peer_error"]))
    yield from (_row("", "gradline", *head[1:]), _row("---", *rule))
    for what, *errors in rows:
        yield _row(what, ours[what], *errors)


def _listed(*benches: str) -> View:
    """Make a view with a row for each comparison."""

    def view(kept: Kept) -> Iterator[str]:
        yield from (_row(*cells) for cells in _head("", "against", "ratio"))
        for bench in benches:
            for line in kept[bench]["results"]:
                yield _row(line["what"], line["peer"], _times(line))
        yield from ("", _measured_on(kept[benches[0]]))

    return view


def _whole_jobs(kept: Kept) -> Iterator[str]:
    """Write a row for each whole job, with the time and memory of each script."""
    yield from (_row(*cells) for cells in _head("", *(f"script with {name}" for name in SCRIPTS)))
    for bench in ("files", "scoring"):
        lines = kept[bench]["results"]
        ratios = {(x["what"], x["peer"].split(",")[0]): _number(1 / x["ratio"]) for x in lines}
        for what in dict.fromkeys(line["what"] for line in lines):
            if (what + MEMORY, SCRIPTS[0]) in ratios:
                both = (f"{ratios[what, x]}/{ratios[what + MEMORY, x]}" for x in SCRIPTS)
                yield _row(what, *both)
    yield from ("", _measured_on(kept["files"]))


def _times(line: Line) -> str:
    """Write how many times as much the peer takes, and the goal if it was missed."""
    if line["ratio"] is None:
        return "not run" if "not run" in line["note"] else str(line["note"])
    goal = "" if line["reached"] is not False else f" ({_number(1 / line['goal'])})"
    return _number(1 / line["ratio"]) + goal


def _error(error: float) -> str:
    return f"{error:.0e}"


def _number(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2f}"


def _measured_on(bench: dict[str, Any]) -> str:
    machine = bench["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores."


def _head(*names: str) -> tuple[list[str], list[str]]:
    return list(names), ["---"] * len(names)


def _row(*cells: str) -> str:
    return f"|{'|'.join(cells)}|"


VIEWS: dict[str, View] = {
    "whole jobs": _whole_jobs,
    "small jobs": _listed("whole_job", "first_prediction", "one_row"),
    "training": _by_peer("training"),
    "training errors": _errors,
    "levels": _by_peer("levels"),
    "files": _by_peer("files"),
    "scoring": _listed("scoring"),
    "categories": _listed("categories"),
    "serve": _by_peer("serve"),
    "cluster": _listed("cluster"),
}
