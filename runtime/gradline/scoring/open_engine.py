"""Opens the engine that reads and scores: this process, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline.tables.objects import is_remote

__all__ = ["ENGINES", "open_engine", "path_for"]

ENGINES = ("local", "ray")


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
    from gradline.scoring.ray_cluster import cluster

    with cluster(address) as engine:
        yield engine
