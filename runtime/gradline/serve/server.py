"""gradline's server: uvicorn, on a socket that listens before anything else is said."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import ssl
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from gradline.errors import InputError
from gradline.serve import app
from gradline.serve.connections import connect
from gradline.serve.draining import SURPLUS, Server
from gradline.serve.metrics import SHARED
from gradline.serve.settings import Settings
from gradline.serve.worker import Replica, log_to_stderr
from gradline.terminal.output import tell

__all__ = ["Listening", "run"]

BACKLOG = 2048
DRAIN_SECONDS = 10
WORKER_START_SECONDS = 60  # at SIGHUP; uvicorn's 5 s are too few for many models on a busy machine
SPARE = 256  # descriptors for files, and for who is being accepted

log = logging.getLogger("gradline.serve")


@dataclass(frozen=True)
class Listening:
    """Where and how the server listens.

    Attributes:
        host: An address or name.
        port: 0 for a free one.
        workers: Processes that answer.
        certificate, key: PEM files for TLS.
        connections: That are open at a time in each worker; further ones are answered 503.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    certificate: Path | None = None
    key: Path | None = None
    connections: int = 1000


def run(settings: Settings, listening: Listening) -> None:
    """Serve until SIGTERM or SIGINT, and then drain.

    Raises:
        InputError: Where the address can't be had, the certificate is none, or nothing can be
            served.
        PackageError: Where no version of a package can be loaded.
    """
    log_to_stderr()
    os.environ.update(settings.to_environment())
    application = app()
    if listening.certificate:
        _check_certificate(listening.certificate, listening.key)
    bound = _bind(listening)
    scheme = "https" if listening.certificate else "http"
    config = uvicorn.Config(
        application,
        http=partial(connect, listening.connections),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        workers=listening.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_worker_healthcheck=WORKER_START_SECONDS,
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
    )
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    server = Server(config)
    alone = listening.workers == 1
    # Before uvicorn listens to signals, and after it ended, when it sends itself what it was sent.
    signal.signal(signal.SIGTERM, lambda *_: server.end() if alone else sys.exit(0))
    tell(f"{scheme}://{shown}:{port}")
    _allow_descriptors(listening.connections + SURPLUS + SPARE)
    gc.collect()
    gc.freeze()  # looking through what stays anyway shows in the slowest answers
    if alone:
        server.run(sockets=[bound])
        return
    from gradline.serve.supervisor import Workers  # which looks for ways to watch files, too

    with TemporaryDirectory(prefix="gradline-") as folder:
        os.environ[SHARED] = folder  # of counts
        config.app, config.factory = Replica(application, Path(folder)), True
        Workers(config, [bound], application.repository).run()


def _check_certificate(certificate: Path, key: Path | None) -> None:
    try:
        ssl.create_default_context().load_cert_chain(certificate, key, password=str)
    except OSError as error:
        raise InputError(
            f"{certificate} and {key} are not a certificate and its key: {error.strerror or error}",
            code="bad-certificate",
            hint="give PEM files, the key without a passphrase",
        ) from error


def _allow_descriptors(needed: int) -> None:
    """Have as many descriptors as all connections and the files need, where that is allowed."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS may have a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft != resource.RLIM_INFINITY and soft < needed:
        log.warning(
            "%d descriptors are allowed: of more than %d connections some may be closed untold",
            soft,
            max(soft - SPARE, 0),
        )


def _bind(listening: Listening) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family)
        with ExitStack() as unless_bound:
            unless_bound.callback(bound.close)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
            bound.set_inheritable(True)
            unless_bound.pop_all()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen on {listening.host}, port {listening.port}: {reason}",
            code="cannot-listen",
            hint="give another --port (0 picks a free one) or --host",
        ) from error
    return bound
