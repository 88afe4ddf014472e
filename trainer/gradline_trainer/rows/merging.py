"""Merge results of blocks in a fixed binary tree, whatever worked on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

__all__ = ["merge_all", "merge_subtrees"]
if TYPE_CHECKING:
    pass


class Mergeable(Protocol):
    """What is known of some rows, and with that of others is known of both."""

    def merge(self, other: Self) -> Self:
        """What is known of both."""


M = TypeVar("M", bound=Mergeable)


def merge_all(blocks: Iterable[M | None]) -> M | None:
    """Return the blocks' moments merged in a binary tree over their places; None for no block.

    None is a block without rows, which keeps its place in the tree. Memory holds one set of moments
    for each level of the tree.
    """
    return merge_subtrees((0, block) for block in blocks)


def merge_subtrees(subtrees: Iterable[tuple[int, M | None]]) -> M | None:
    """Return what `merge_all` would of all the blocks, from subtrees that are merged already.

    Args:
        subtrees: Each the level, and what is known of the blocks from a multiple of 2^level on:
            2^level of them, or fewer where they are the last.
    """
    waiting: list[tuple[int, M | None]] = []
    for level, merged in subtrees:
        while waiting and waiting[-1][0] == level:
            merged = _merged(waiting.pop()[1], merged)
            level += 1
        waiting.append((level, merged))
    whole: M | None = None
    for _, merged in reversed(waiting):
        whole = _merged(merged, whole)
    return whole


def _merged(first: M | None, second: M | None) -> M | None:
    if first is None or second is None:
        return second if first is None else first
    return first.merge(second)
