"""Blocks worked on by several threads, their results in the blocks' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

import torch

__all__ = ["in_order", "one_thread_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield work(item) for each item, in order, while later items are read and worked on.

    Each thread uses one of PyTorch's, so that they don't crowd one another out, and that their
    number, by default that of the cores, changes no bit. There are never more items at hand than
    threads, and one.
    """
    source = iter(items)
    first = list(islice(source, 2))
    if len(first) < 2:
        with one_thread_each():
            yield from map(work, first)
        return
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    # A thread's first product may take all of PyTorch's threads, unless it is told itself.
    pools = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    with one_thread_each(), pools as pool:
        for item in chain(first, source):
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have each of PyTorch's products use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
