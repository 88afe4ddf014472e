"""Where work is done: an engine is an ordered map, here over this process, or over a Ray cluster.

    engine(work, items) -> work(item) for each item, in the items' order

Another engine is one more such function. What `work` raises of gradline's own is raised when the
other items are done; work is done again where whoever did it was lost, so it must bear that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from gradline.errors import InputError

__all__ = ["ENGINES", "Engine", "open_engine"]

ENGINES = ("local", "ray")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """An ordered map."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) for each item, in order."""


@contextmanager
def open_engine(name: str, address: str | None) -> Iterator[Engine | None]:
    """Lend the engine of this name; None is this process itself, which needs none.

    Args:
        name: One of `ENGINES`.
        address: Of a Ray cluster; None for the one that Ray's own environment names, else for one
            that is started on this machine for as long.

    Raises:
        InputError: For another name, an address that is of no use, and no cluster there.
        MissingExtraError: Where Ray is not installed.
    """
    if name not in ENGINES:
        raise InputError(
            f"engine = {name!r}, expected one of {', '.join(ENGINES)}", code="bad-option"
        )
    if name == "local":
        if address is not None:
            raise InputError(
                f"address = {address!r} without engine 'ray': there is nothing to connect to",
                code="bad-option",
                hint="give --engine ray, or leave --address out",
            )
        yield None
        return
    from gradline.on_ray import cluster

    with cluster(address) as engine:
        yield engine
