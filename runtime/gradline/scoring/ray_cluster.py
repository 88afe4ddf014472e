"""An engine on a Ray cluster: Ray schedules, retries and moves; here only order is kept.

Tasks, not Ray Data: a task's result is small, and its work is what one machine does too.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from gradline.errors import GradlineError, InputError, RefusedError, needs_extra
from gradline.scoring.engine import Engine, Item, Result
from gradline.terminal.output import warn

__all__ = ["cluster"]

RETRIES = 5  # of a task whose worker or machine was lost
AHEAD = 4  # tasks for each core that are waited for at a time
PATIENCE = 5.0  # seconds for a cluster's machine to answer, or to come
GIVES_UP = 20.0  # seconds that Ray tries at least before it does
AGAIN = 2.0  # seconds until the cluster is asked again for its cores
RAYS_OWN = (None, "auto", "local")  # addresses that Ray looks up for itself
DEPENDENCIES = ("gradline", "numpy", "polars", "torch", "onnxruntime")  # what bits depend on


@contextmanager
def cluster(address: str | None) -> Iterator[Engine]:
    """Lend a Ray cluster as an engine; see `gradline.scoring.open_engine.open_engine`."""
    with needs_extra():
        import ray
    if ray.is_initialized():
        _check_connected(address)
        yield _in_order
        return
    earlier = signal.getsignal(signal.SIGTERM)
    # Ray tells of workers that it has lost on stdout, where only a command's answer belongs.
    with redirect_stdout(sys.stderr):
        try:
            _connect(address)
            _at_sigterm(_end if earlier is signal.SIG_DFL else earlier)
            yield _in_order
        except SystemExit:  # of which Ray's own code makes another
            if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
                raise
            raise SystemExit(128 + signal.SIGTERM) from None
        finally:
            ray.shutdown()
            _at_sigterm(earlier)


def _at_sigterm(handler: Any) -> None:
    with suppress(ValueError, TypeError):  # only the main thread has signals; one of C stays
        signal.signal(signal.SIGTERM, handler)


def _end(number: int, frame: object) -> NoReturn:
    """End the process as a signal would, but behind Ray's own processes."""
    _at_sigterm(signal.SIG_IGN)
    sys.exit(128 + number)


def _check_connected(address: str | None) -> None:
    """Raise where Ray is connected already, and not to the cluster that is asked for."""
    import ray

    connected = ray.get_runtime_context().gcs_address
    host, _, port = connected.rpartition(":")
    own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    names = [host, *["127.0.0.1", "localhost"] * (host in ("127.0.0.1", own))]
    if address not in (*RAYS_OWN, *(f"{name}:{port}" for name in names)):
        told = f"address = {address!r}, but Ray is connected to {connected} already"
        hint = "leave --address out, or call ray.shutdown() first"
        raise InputError(told, code="bad-option", hint=hint)


def _connect(address: str | None) -> None:
    import ray
    from ray._private.services import find_bootstrap_address

    if address in (None, "auto"):
        address = os.environ.get("RAY_ADDRESS") or address
    if address not in RAYS_OWN:
        _check_reachable(address, "start one: ray start --head, which prints its address")
    elif address is None and (last := find_bootstrap_address(None)):
        _check_reachable(last, "the last that was started here has died: ray stop forgets it")
    began = time.monotonic()
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except SystemExit as error:  # Ray's answer to SIGTERM, which it sends itself to give up
        if time.monotonic() - began < GIVES_UP:
            raise SystemExit(128 + signal.SIGTERM) from error
        raise _unreached(address, "") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreached(address, " ".join(str(error).split())) from error


def _unreached(address: str | None, reason: str) -> InputError:
    code, what = "no-cluster", "no Ray cluster on this machine could be reached or started"
    hint = "if one died here, ray stop forgets it; then run this again"
    if "ersion mismatch" in reason:
        code, what = "version-mismatch", "the Ray cluster has other versions"
        hint = "install the cluster's versions of Ray and Python here"
    elif address not in RAYS_OWN:
        what = f"what listens at {address} is no Ray cluster, or refuses"
        hint = "one that asks for a token wants RAY_AUTH_MODE=token in the environment, and the "
        hint += "token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
    return InputError(f"{what}: {reason}".removesuffix(": "), code=code, hint=hint)


def _check_reachable(address: str, hint: str) -> None:
    """Raise where nothing listens at host:port: Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise InputError(f"address = {address!r}, expected HOST:PORT or auto", code="bad-option")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        told = f"no Ray cluster at {address}: {error}"
        raise InputError(told, code="no-cluster", hint=hint) from error


def _room() -> Iterator[int]:
    """Yield without end how many tasks may be under way now: a cluster may grow."""
    import ray

    began, asked, told = time.monotonic(), -AGAIN, False
    while True:
        if (now := time.monotonic()) - asked >= AGAIN:
            asked, resources = now, ray.cluster_resources()  # type: ignore[no-untyped-call]
            cpus = resources.get("CPU", 0)
            if not (cpus or told) and now - began >= PATIENCE:
                told = True
                warn("no machine of the Ray cluster has a CPU for tasks: waiting for one to join")
        yield max(2, round(AHEAD * (cpus or 1)))


def _in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) for each item, in order, with few tasks under way at a time.

    What is wrong with one item is raised when the others are done; none is yielded behind it.
    """
    import ray

    shared = ray.put(work)
    task: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
    waiting: deque[Any] = deque()
    errors: list[GradlineError] = []
    room = _room()

    def found(least: int) -> Iterator[Result]:
        """Yield what is found, in order, while so many are waited for, or the cluster is full."""
        while len(waiting) >= min(next(room), least):
            if not ray.wait([waiting[0]], timeout=AGAIN)[0]:
                continue
            result = _result(waiting.popleft())
            if isinstance(result, GradlineError):
                errors.append(result)
            elif not errors:
                yield result

    try:
        for item in items:
            yield from found(sys.maxsize)
            waiting.append(task.remote(shared, item, _versions()))
        yield from found(1)
    finally:
        for reference in waiting:
            ray.cancel(reference)
    if len(errors) > 1:
        more = f"{len(errors) - 1} more of the tasks found something wrong"
        errors[0].args = (f"{errors[0]}; {more}",)
    if errors:
        raise errors[0]


def _run(work: Callable[[Item], Result], item: Item, versions: dict[str, str]) -> bytes:
    """Do a task: what gradline finds wrong is an answer, which Ray does not ask for again.

    The answer is bytes, since of arrays Ray would lend views that can't be written to.
    """
    try:
        _check_versions(versions)
        return pickle.dumps(work(item))
    except GradlineError as error:
        return pickle.dumps(error)
    except OSError as error:
        told = f"{error.filename or 'a task'}: {error.strerror or error} ({socket.gethostname()})"
        return pickle.dumps(InputError(told, code="os-error", hint="check the path and its rights"))


@cache
def _versions() -> dict[str, str]:
    found = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for name in DEPENDENCIES:
        found[name] = "none"
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _check_versions(wanted: dict[str, str]) -> None:
    """Raise where a worker's versions are not those of whoever asks: they decide the bits."""
    other = [
        f"{name} {found} and not {wanted[name]}"
        for name, found in _versions().items()
        if found != wanted[name]
    ]
    if other:
        told = f"a worker on {socket.gethostname()} has {', '.join(other)}"
        hint = "install the same versions on every machine of the cluster"
        raise InputError(told, code="version-mismatch", hint=hint)


def _result(reference: Any) -> Any:
    """Return a task's result."""
    import ray.exceptions

    try:
        return pickle.loads(ray.get(reference))  # noqa: S301 - of our own task
    except ray.exceptions.RayTaskError as error:
        if "ModuleNotFoundError" in str(error):
            told = f"a worker can't import what tasks need: {str(error).strip().splitlines()[-1]}"
            hint = 'on every machine of the cluster: pip install "gradline[ray]"'
            raise InputError(told, code="workers-lack-gradline", hint=hint) from error
        raise
    except ray.exceptions.RayError as error:
        told = f"a task was lost {RETRIES + 1} times: {str(error).strip().splitlines()[0]}"
        hint = "see the cluster's logs: machines that run out of memory lose their workers"
        raise RefusedError(told, code="workers-lost", hint=hint) from error
