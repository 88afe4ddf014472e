"""The libraries' state in a fit or an export, independent of the caller's: modes and threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import chain, islice
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

from gradline.columns.numpy_state import numpy_defaults
from gradline.scoring.engine import Item, Result

LEAST_NORMAL = float.fromhex("0x1p-1022")


@contextmanager
def known_state() -> Iterator[None]:
    """Set gradients, devices, precision and floating-point errors to the libraries' defaults.

    The default dtype is not reset, because all threads of the process share it: our code names
    every dtype instead. Lowered precision is reset only if the caller has set it.
    """
    with ExitStack() as stack:
        stack.enter_context(numpy_defaults())
        stack.enter_context(one_thread_each())  # a forked child would wait for lost threads
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.empty(0).device.type != "cpu":  # the mode slows every call of PyTorch
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_anomaly_enabled():  # it raises before we can say why a run diverges
            stack.enter_context(torch.autograd.set_detect_anomaly(False))
        precision = torch.get_float32_matmul_precision()
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        if LEAST_NORMAL / 2 == 0:  # this thread treats subnormal numbers as 0
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        yield


@cache
def _libraries() -> list[Any]:
    """List the libraries with a thread count; cached: the search takes longer than a small fit."""
    return [torch, *ThreadpoolController().select(user_api="blas").lib_controllers]


def _of_each_thread(library: Any) -> bool:
    """Check for a separate count in each thread; a new thread starts with the count set last."""
    return library is torch or getattr(library, "threading_layer", None) == "openmp"


def _limit_thread() -> None:
    for library in filter(_of_each_thread, _libraries()):
        library.set_num_threads(1)


def _release(library: Any) -> None:
    """Let any thread set the count: threadpoolctl ≥ 3.8 obeys only the first that did."""
    if library is not torch and (clear := getattr(library, "clear_controlling_thread", None)):
        clear(force=True)


class _Limit:
    """Limit each library to one thread while any of our threads is in `one_thread_each`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.found: list[int] = []

    def enter(self) -> list[int]:
        """Limit the libraries; return this thread's counts, to restore later."""
        with self.lock:
            own = [library.get_num_threads() for library in _libraries()]
            if not self.inside:
                self.found = own
            self.inside += 1
            for library in _libraries():
                _release(library)
                library.set_num_threads(1)
            # A thread that began while another was inside has the limit as its own count.
            return [
                first if count == 1 else count for first, count in zip(self.found, own, strict=True)
            ]

    def leave(self, counts: list[int]) -> None:
        """Restore the counts of this thread, and the process's if no other is inside."""
        with self.lock:
            self.inside -= 1
            for library, count in zip(_libraries(), counts, strict=True):
                if _of_each_thread(library) or not self.inside:
                    _release(library)
                    library.set_num_threads(count)
                    _release(library)


_limit, _mine = _Limit(), threading.local()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Limit PyTorch and NumPy's BLAS to one thread for each of ours; then restore the counts.

    The last bits of a product or a factorization depend on how a library divides it among threads;
    with one thread they depend only on the table.
    """
    if getattr(_mine, "inside", False):
        yield
        return
    counts = _limit.enter()
    try:
        _mine.inside = True
        yield
    finally:
        _mine.inside = False
        _limit.leave(counts)


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield work(item) for each item, in order, while several threads work on later items.

    Call it within `one_thread_each`: then the number of threads (by default one per core) changes
    no bit. At most one item more than there are threads is in memory.
    """
    source = iter(items)
    first = list(islice(source, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    # A new thread may use all of a library's threads unless it sets the limit itself.
    with ThreadPoolExecutor(threads, initializer=_limit_thread) as pool:
        for item in chain(first, source):
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
