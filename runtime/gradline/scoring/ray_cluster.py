"""The engine on a Ray cluster: Ray schedules and retries tasks, this module keeps their order.

It uses tasks rather than Ray Data: results are small, and one machine does the same work.
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
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NoReturn

from gradline.errors import GradlineError, InputError, RefusedError, needs_extra
from gradline.scoring.engine import Engine, Item, Result
from gradline.terminal.output import warn

RETRIES = 5  # of a task that lost its worker or machine
AHEAD = 4  # submitted tasks per core
PATIENCE = 5.0  # seconds to wait for an answer, or for a machine to join
GIVES_UP = 20.0  # seconds that Ray tries to connect, at least
AGAIN = 2.0  # seconds between two looks at the cluster's cores
RAYS_OWN = (None, "auto", "local")  # addresses that Ray resolves
DEPENDENCIES = ("gradline", "numpy", "polars", "torch", "onnxruntime")  # versions change the bits


@contextmanager
def cluster(address: str | None) -> Iterator[Engine]:
    """Connect to a Ray cluster; see `gradline.scoring.open_engine.open_engine`."""
    with needs_extra():
        import ray
    if ray.is_initialized():
        _check_connected(address)
        yield _in_order
        return
    earlier = signal.getsignal(signal.SIGTERM)
    # Ray reports lost workers on stdout, which belongs to the command's answer.
    with redirect_stdout(sys.stderr):
        try:
            _connect(address)
            _at_sigterm(_end if earlier is signal.SIG_DFL else earlier)
            yield _in_order
        except SystemExit:  # Ray replaces the exit status
            if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
                raise
            raise SystemExit(128 + signal.SIGTERM) from None
        finally:
            ray.shutdown()
            _at_sigterm(earlier)


def _at_sigterm(handler: Any) -> None:
    # Only the main thread may set signal handlers; a handler set in C is None and cannot be set.
    with suppress(ValueError, TypeError):
        signal.signal(signal.SIGTERM, handler)


def _end(number: int, frame: object) -> NoReturn:
    """End the process with a signal's status, but let Ray shut down first."""
    _at_sigterm(signal.SIG_IGN)
    sys.exit(128 + number)


def _check_connected(address: str | None) -> None:
    """Check that the existing connection is to the cluster at `address`."""
    import ray

    connected = ray.get_runtime_context().gcs_address
    host, _, port = connected.rpartition(":")
    own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    names = [host, *["127.0.0.1", "localhost"] * (host in ("127.0.0.1", own))]
    if address not in (*RAYS_OWN, *(f"{name}:{port}" for name in names)):
        what = f"address = {address!r}, but Ray is connected to {connected} already"
        hint = "leave --address out, or call ray.shutdown() first"
        raise InputError(what, code="bad-option", hint=hint)


def _connect(address: str | None) -> None:
    import ray

    if address in (None, "auto"):
        address = os.environ.get("RAY_ADDRESS") or address
    if address not in RAYS_OWN:
        _check_reachable(address, "start one: ray start --head, which prints its address")
    elif address is None and (last := _last_started()):
        _check_reachable(last, "the last cluster started here has died: run ray stop to forget it")
    began = time.monotonic()
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except SystemExit as error:  # SIGTERM: from outside, or from Ray itself when it gives up
        if time.monotonic() - began < GIVES_UP:
            raise SystemExit(128 + signal.SIGTERM) from error
        raise _unreached(address, "") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreached(address, " ".join(str(error).split())) from error


def _last_started() -> str:
    """Read the address that `ray start` wrote on this machine; empty if there is none."""
    default = "/tmp" if sys.platform == "darwin" else gettempdir()  # noqa: S108 - as Ray does
    folder = os.environ.get("RAY_TMPDIR", default)
    with suppress(OSError):
        return Path(folder, "ray", "ray_current_cluster").read_text().strip()
    return ""


def _unreached(address: str | None, reason: str) -> InputError:
    code, what = "no-cluster", "no Ray cluster on this machine could be reached or started"
    hint = "if one died here, run ray stop to forget it; then run this again"
    if "ersion mismatch" in reason:
        code, what = "version-mismatch", "the Ray cluster has other versions"
        hint = "install the cluster's versions of Ray and Python here"
    elif address not in RAYS_OWN:
        what = f"the server at {address} is not a Ray cluster, or refuses the connection"
        hint = "if the cluster needs a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or write "
        hint += "the token to ~/.ray/auth_token)"
    return InputError(f"{what}: {reason}".removesuffix(": "), code=code, hint=hint)


def _check_reachable(address: str, hint: str) -> None:
    """Check that a server listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise InputError(f"address = {address!r}, expected HOST:PORT or auto", code="bad-option")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        what = f"no Ray cluster at {address}: {error}"
        raise InputError(what, code="no-cluster", hint=hint) from error


def _limits() -> Iterator[int]:
    """Yield, endlessly, how many tasks may be in flight; the cluster may grow."""
    import ray

    began, asked, warned = time.monotonic(), -AGAIN, False
    while True:
        if (now := time.monotonic()) - asked >= AGAIN:
            asked, resources = now, ray.cluster_resources()  # type: ignore[no-untyped-call]
            cpus = resources.get("CPU", 0)
            if not (cpus or warned) and now - began >= PATIENCE:
                warned = True
                warn("no machine of the Ray cluster has a CPU for tasks: waiting for one to join")
        yield max(2, round(AHEAD * (cpus or 1)))


def _in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) for each item, in order, with few tasks submitted at a time.

    An error is raised when all tasks are done; no result after it is yielded.
    """
    import ray

    shared = ray.put(work)
    task: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
    waiting: deque[Any] = deque()
    errors: list[GradlineError] = []
    limits = _limits()

    def results(least: int) -> Iterator[Result]:
        """Yield results while `least` tasks, or the most tasks allowed, are submitted."""
        while len(waiting) >= min(next(limits), least):
            if not ray.wait([waiting[0]], timeout=AGAIN)[0]:
                continue
            result = _result(waiting.popleft())
            if isinstance(result, GradlineError):
                errors.append(result)
            elif not errors:
                yield result

    try:
        for item in items:
            yield from results(sys.maxsize)
            waiting.append(task.remote(shared, item, _versions()))
        yield from results(1)
    finally:
        for reference in waiting:
            ray.cancel(reference)
    if len(errors) > 1:
        errors[0].args = (f"{errors[0]}; {len(errors) - 1} more of the tasks failed",)
    if errors:
        raise errors[0]


def _run(work: Callable[[Item], Result], item: Item, versions: dict[str, str]) -> bytes:
    """Do a task; return its pickled result, or error of gradline's own, which Ray must not retry.

    From a pickle, arrays are writable; Ray's own serialization gives read-only views.
    """
    try:
        _check_versions(versions)
        return pickle.dumps(work(item))
    except GradlineError as error:
        return pickle.dumps(error)
    except OSError as error:
        what = f"{error.filename or 'a task'}: {error.strerror or error} ({socket.gethostname()})"
        return pickle.dumps(InputError(what, code="os-error", hint="check the path and its rights"))


@cache
def _versions() -> dict[str, str]:
    found = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for name in DEPENDENCIES:
        found[name] = "none"
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _check_versions(wanted: dict[str, str]) -> None:
    """Check that a worker has the driver's versions, because they decide the bits."""
    found = _versions()
    other = [f"{n} {found[n]} and not {wanted[n]}" for n in found if found[n] != wanted[n]]
    if other:
        what = f"a worker on {socket.gethostname()} has {', '.join(other)}"
        hint = "install the same versions on every machine of the cluster"
        raise InputError(what, code="version-mismatch", hint=hint)


def _result(reference: Any) -> Any:
    import ray.exceptions

    try:
        return pickle.loads(ray.get(reference))  # noqa: S301 - of our own task
    except ray.exceptions.RayTaskError as error:
        if "ModuleNotFoundError" in str(error):
            what = f"a worker can't import a module: {str(error).strip().splitlines()[-1]}"
            hint = "on every machine of the cluster, in the folder of gradline's sources: "
            hint += 'pip install ".[ray]"'
            raise InputError(what, code="workers-lack-gradline", hint=hint) from error
        raise
    except ray.exceptions.RayError as error:
        what = f"a task was lost {RETRIES + 1} times: {str(error).strip().splitlines()[0]}"
        hint = "read the cluster's logs: a machine that runs out of memory loses its workers"
        raise RefusedError(what, code="workers-lost", hint=hint) from error
