"""Where work is done: an engine is an ordered map, here over this process, or over a Ray cluster.

    engine(work, items) -> work(item) for each item, in the items' order

Another engine is one more such function. What `work` raises of gradline's own is raised when the
other items are done; work is done again where whoever did it was lost, so it must bear that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Engine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """An ordered map."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) for each item, in order."""
