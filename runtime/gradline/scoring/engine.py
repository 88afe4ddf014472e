"""The engine protocol: an ordered map over this process or over a Ray cluster.

If `work` raises a GradlineError, the engine raises it after the other items are finished. If a
worker is lost, its work is repeated, so `work` must allow repetition.
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
