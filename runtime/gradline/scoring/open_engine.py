"""Choice of the engine that reads and scores: this process or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline.tables.objects import is_remote

ENGINES = ("local", "ray")


def path_for(engine: str, data: str | Path) -> str | Path:
    """Make a table's path independent of the working folder, which other processes do not share."""
    return data if engine == "local" or is_remote(data) else Path(data).absolute()


@contextmanager
def open_engine(name: str, address: str | None) -> Iterator[Engine | None]:
    """Open one of `ENGINES`; yield None for this process.

    `address` is a Ray cluster's HOST:PORT; None for RAY_ADDRESS, else the last cluster started on
    this machine, else a new one that ends with the job.
    """
    if name == "ray":
        from gradline.scoring.ray_cluster import cluster

        with cluster(address) as engine:
            yield engine
        return
    if name != "local":
        what = f"engine = {name!r}, expected one of {', '.join(ENGINES)}"
        raise InputError(what, code="bad-option")
    if address is not None:
        what = f"address = {address!r} without engine 'ray': there is nothing to connect to"
        hint = "give --engine ray, or leave --address out"
        raise InputError(what, code="bad-option", hint=hint)
    yield None
