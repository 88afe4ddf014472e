"""Run gradline's server: listen on a socket first, then report its address."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from gradline.errors import InputError
from gradline.serve.application import Application
from gradline.serve.connections import connect
from gradline.serve.draining import MAX_SURPLUS, Server
from gradline.serve.limits import Limits
from gradline.serve.metrics import SHARED_FOLDER, ServerMetrics
from gradline.serve.repository import Repository
from gradline.serve.worker import Replica, log_to_stderr
from gradline.terminal.output import tell

BACKLOG = 2048
DRAIN_SECONDS = 10
WORKER_START_SECONDS = 60  # at SIGHUP: uvicorn's 5 s are too few for many models on a busy machine
SPARE_DESCRIPTORS = 256  # for files, and for connections that are being accepted

log = logging.getLogger("gradline.serve")


@dataclass(frozen=True)
class Listening:
    """Where and how the server listens."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 for a free one
    workers: int = 1  # processes
    certificate: Path | None = None  # a PEM file for TLS
    key: Path | None = None  # of the certificate, a PEM file
    connections: int = 1000  # open at a time in each worker; further ones get 503


def serve(
    paths: Sequence[Path],
    limits: Limits,
    listening: Listening,
    public_key: Path | None = None,
    name: str | None = None,
) -> None:
    """Serve packages until SIGTERM or SIGINT, then finish the open requests."""
    log_to_stderr()
    metrics = ServerMetrics()
    application = Application(Repository(paths, metrics, public_key, name), metrics, limits)
    if listening.certificate:
        _check_certificate(listening.certificate, listening.key)
    bound = _bind(listening)
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
    server = Server(config)
    alone = listening.workers == 1
    # For signals before uvicorn handles them, and for the one that it re-raises when it ends.
    signal.signal(signal.SIGTERM, lambda *_: server.end() if alone else sys.exit(0))
    host, port = bound.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    tell(f"{'https' if listening.certificate else 'http'}://{address}")
    _raise_descriptor_limit(listening.connections + MAX_SURPLUS + SPARE_DESCRIPTORS)
    gc.collect()
    gc.freeze()  # scanning these permanent objects again would slow down the slowest answers
    if alone:
        server.run(sockets=[bound])
        return
    from gradline.serve.supervisor import Workers  # it imports uvicorn's file watchers, too

    with TemporaryDirectory(prefix="gradline-") as folder:
        os.environ[SHARED_FOLDER] = folder
        config.app = Replica(application, Path(folder))  # type: ignore[assignment]
        config.factory = True
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


def _raise_descriptor_limit(needed: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with suppress(OSError, ValueError):  # macOS may have a lower limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft < needed:
        log.warning(
            "only %d file descriptors are allowed: above %d connections some may be closed without "
            "an answer; raise the limit with ulimit -n",
            soft,
            max(soft - SPARE_DESCRIPTORS, 0),
        )


def _bind(listening: Listening) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM
        )[0]
        # "::" accepts IPv4, too.
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen on {listening.host}, port {listening.port}: "
            + reason.partition(" (while attempting")[0],
            code="cannot-listen",
            hint="give another --port (0 picks a free one) or --host",
        ) from error
