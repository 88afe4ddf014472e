"""An engine on a Ray cluster: Ray schedules, retries and moves; here only order is kept.

Tasks, not Ray Data: a task's result is small, and its work is what one machine does too.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from gradline.engine import Engine
from gradline.errors import GradlineError, InputError, RefusedError, needs_extra

__all__ = ["cluster"]

RETRIES = 5  # of a task whose worker or machine was lost
AHEAD = 4  # tasks for each core that are waited for at a time
PATIENCE = 5.0  # seconds for a cluster's machine to answer
DEPENDENCIES = ("gradline", "numpy", "polars", "torch", "onnxruntime")  # what bits depend on
Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def cluster(address: str | None) -> Iterator[Engine]:
    """Lend a Ray cluster as an engine; see `gradline.engine.open_engine`."""
    with needs_extra():
        import ray
    if ray.is_initialized():
        yield _in_order
        return
    # Ray tells of workers that it has lost on stdout, where only a command's answer belongs.
    with redirect_stdout(sys.stderr):
        _connect(address)
        try:
            yield _in_order
        finally:
            ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        _check_reachable(address)
    else:
        quiet["include_dashboard"] = False
    try:
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        reason = " ".join(str(error).split())
        if "ersion mismatch" in reason:
            raise InputError(
                f"the Ray cluster has other versions: {reason}",
                code="version-mismatch",
                hint="install the cluster's versions of Ray and Python here",
            ) from error
        if not address:
            raise InputError(
                f"no Ray cluster on this machine could be reached or started: {reason}",
                code="no-cluster",
                hint="if one died here, ray stop forgets it; then run this again",
            ) from error
        raise InputError(
            f"what listens at {address} is no Ray cluster, or refuses: {reason}",
            code="no-cluster",
            hint="one that asks for a token wants RAY_AUTH_MODE=token in the environment, and the "
            "token in RAY_AUTH_TOKEN or ~/.ray/auth_token",
        ) from error


def _check_reachable(address: str) -> None:
    """Raise where nothing listens at host:port: Ray itself would try for two minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise InputError(
            f"address = {address!r}, expected HOST:PORT, ray://HOST:PORT or auto", code="bad-option"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster at {address}: {error}",
            code="no-cluster",
            hint="start one: ray start --head, which prints its address",
        ) from error


def _in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) for each item, in order, with few tasks under way at a time.

    What is wrong with one item is raised when the others are done; none is yielded behind it.
    """
    import ray

    shared = ray.put(work)
    task: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    most = max(2, round(AHEAD * resources.get("CPU", 1)))
    waiting: deque[Any] = deque()
    errors: list[GradlineError] = []

    def first() -> Iterator[Result]:
        found = _result(waiting.popleft())
        if isinstance(found, GradlineError):
            errors.append(found)
        elif not errors:
            yield found

    try:
        for item in items:
            waiting.append(task.remote(shared, item, _versions()))
            if len(waiting) >= most:
                yield from first()
        while waiting:
            yield from first()
    finally:
        for reference in waiting:
            ray.cancel(reference)
    if errors:
        raise _with_others(errors)


def _run(work: Callable[[Item], Result], item: Item, versions: dict[str, str]) -> bytes:
    """Do a task: what gradline finds wrong is an answer, which Ray does not ask for again.

    The answer is bytes, since of arrays Ray would lend views that can't be written to.
    """
    try:
        _check_versions(versions)
        return pickle.dumps(work(item))
    except GradlineError as error:
        return pickle.dumps(error)


@cache
def _versions() -> dict[str, str]:
    found = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for name in DEPENDENCIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _check_versions(wanted: dict[str, str]) -> None:
    """Raise where a worker's versions are not those of whoever asks: they decide the bits."""
    other = [
        f"{name} {found} and not {wanted[name]}"
        for name, found in _versions().items()
        if found != wanted[name]
    ]
    if other:
        raise InputError(
            f"a worker on {socket.gethostname()} has {', '.join(other)}",
            code="version-mismatch",
            hint="install the same versions on every machine of the cluster",
        )


def _result(reference: Any) -> Any:
    """Return a task's result."""
    import ray
    from ray import exceptions

    try:
        return pickle.loads(ray.get(reference))  # noqa: S301 - of our own task
    except exceptions.RayTaskError as error:
        if "ModuleNotFoundError" in str(error):
            raise InputError(
                f"a worker can't import what the task needs: {str(error).strip().splitlines()[-1]}",
                code="workers-lack-gradline",
                hint='on every machine of the cluster: pip install "gradline[ray]"',
            ) from error
        raise
    except exceptions.RayError as error:
        raise RefusedError(
            f"a task was lost {RETRIES + 1} times: {str(error).strip().splitlines()[0]}",
            code="workers-lost",
            hint="see the cluster's logs: machines that run out of memory lose their workers",
        ) from error


def _with_others(errors: list[GradlineError]) -> GradlineError:
    """Return the first error, saying how many tasks have one."""
    first = errors[0]
    if len(errors) > 1:
        first.args = (f"{first}; {len(errors) - 1} more of the tasks found something wrong",)
    return first
