"""The engine protocol: an ordered map over this process or over a Ray cluster.

An error of gradline's own that `work` raises is raised when the other items are done. If a worker
is lost, its work is done again, so `work` must allow repetition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """An ordered map."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) for each item, in order."""
