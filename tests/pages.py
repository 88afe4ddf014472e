"""Read the fenced code blocks of Markdown pages, and compare shown with actual output.

Shown output may have an ellipsis …: alone in its line it stands for any lines, otherwise for a part
of one line.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from hosts import ROOT

__all__ = ["CONTINUED", "Block", "blocks", "commands", "is_as_shown"]

CONTINUED = re.compile(r"\\\n *")
FENCE = re.compile(r"^```([^\n`]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Its page.
        line: Line of its first fence.
        language: First word after the fence.
        more: The words after the language.
        text: The text between the fences.
        follows: Whether only blank lines separate it from the block before.
    """

    page: Path
    line: int
    language: str
    more: str
    text: str
    follows: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """List a page's blocks, in order."""
    text = page.read_text()
    found, end = [], -1
    for match in FENCE.finditer(text):
        language, _, more = match[1].partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        follows = end >= 0 and not text[end : match.start()].strip()
        found.append(Block(page, line, language, more, match[2], follows))
        end = match.end()
    fences = re.findall(r"^\s*(?:```|~~~)|^ {4,}\S", FENCE.sub("", text), re.MULTILINE)
    assert not fences, f"{page.name}: a block without a language, or indented"
    return found


def is_as_shown(shown: str, printed: str) -> bool:
    """Tell if the text that a page shows is the printed text, except for ellipses."""
    lines = [
        "(?s:.*?)" if line.strip() == "…" else "[^\n]*?".join(map(re.escape, line.split("…")))
        for line in _lines(shown)
    ]
    return re.fullmatch("\n".join(lines), "\n".join(_lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def commands(text: str) -> list[tuple[str, str]]:
    """List a console block's commands, each with the output shown below it."""
    assert text.startswith("$ "), "a console block begins with a command"
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        command = lines.pop(0)
        while not _is_whole(command):
            command += lines.pop(0)
        found.append((CONTINUED.sub("", command), "".join(lines)))
    return found


def _is_whole(command: str) -> bool:
    """Tell if a command ends in its last line."""
    try:
        shlex.split(command)
    except ValueError:  # a quotation is open
        return False
    return not command.endswith("\\\n")
