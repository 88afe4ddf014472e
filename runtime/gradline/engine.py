"""Where work is done: an engine is an ordered map, here over this process, or over a Ray cluster.

    engine(work, items) -> work(item) for each item, in the items' order

Another engine is one more such function. What `work` raises of gradline's own is raised when the
other items are done; work is done again where whoever did it was lost, so it must bear that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from gradline.errors import InputError
from gradline.tables.objects import is_remote

__all__ = ["ENGINES", "Engine", "open_engine", "path_for"]

ENGINES = ("local", "ray")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """An ordered map."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) for each item, in order."""


def path_for(engine: str, data: str | Path) -> str | Path:
    """Return where an engine finds a table: another process may run in another folder."""
    return data if engine == "local" or is_remote(data) else Path(data).absolute()


@contextmanager
def open_engine(name: str, address: str | None) -> Iterator[Engine | None]:
    """Lend the engine of this name; None is this process itself, which needs none.

    Args:
        name: One of `ENGINES`.
        address: Of a Ray cluster; None for the one that RAY_ADDRESS names, else for the last that
            was started on this machine, else for one that is started for as long.

    Raises:
        InputError: For another name, an address that is of no use, no cluster there, and one that
            is not the one that Ray is connected to already.
        MissingExtraError: Where Ray is not installed.
    """
    if name not in ENGINES:
        told = f"engine = {name!r}, expected one of {', '.join(ENGINES)}"
        raise InputError(told, code="bad-option")
    if name == "local":
        if address is not None:
            told = f"address = {address!r} without engine 'ray': there is nothing to connect to"
            hint = "give --engine ray, or leave --address out"
            raise InputError(told, code="bad-option", hint=hint)
        yield None
        return
    from gradline.on_ray import cluster

    with cluster(address) as engine:
        yield engine
