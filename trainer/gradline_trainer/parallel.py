"""Blocks worked on by several threads, each of which uses one thread of every library."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain, islice
from typing import Any, TypeVar

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["in_order", "one_thread_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield work(item) for each item, in order, while later items are read and worked on.

    Each thread uses one of PyTorch's, so that they don't crowd one another out, and that their
    number, by default that of the cores, changes no bit. There are never more items at hand than
    threads, and one. Call it within `one_thread_each`.
    """
    source = iter(items)
    first = list(islice(source, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    # A thread's first product may take all of PyTorch's threads, unless it is told itself.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for item in chain(first, source):
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Mine(threading.local):
    inside = False


@cache
def _blas() -> ThreadpoolController:
    """Find the BLAS libraries that are loaded, once: the search takes longer than a small fit."""
    return ThreadpoolController().select(user_api="blas")


class _Ours:
    """The threads of ours that are within `one_thread_each`, and what to restore after the last.

    PyTorch keeps a count for each thread, and gives new threads the count that any thread set last.
    A BLAS has one count for the process.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.of_torch = 1
        self.limits: Any = None

    def enter(self) -> int:
        """Limit the calling thread; return the count of PyTorch's threads to restore."""
        own = torch.get_num_threads()
        with self.lock:
            if not self.inside:
                self.of_torch = own
                self.limits = _blas().limit(limits=1)
            self.inside += 1
            # A thread that began while another was inside got its limit as its own count.
            return self.of_torch if own == 1 else own

    def leave(self) -> None:
        """Restore the libraries' own counts, if no thread is inside any more."""
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limits.restore_original_limits()


_mine, _ours = _Mine(), _Ours()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have PyTorch and NumPy's BLAS use one thread for each thread of ours, then as many as before.

    How a library divides a product or a factorization among its threads decides the last bits of
    the result. What is computed here depends on the table alone.
    """
    if _mine.inside:
        yield
        return
    before = _ours.enter()
    try:
        _mine.inside = True
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)
        _mine.inside = False
        _ours.leave()
