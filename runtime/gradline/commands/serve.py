"""`gradline serve`: models over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.commands import expect_name
from gradline.errors import InputError, needs_extra

__all__ = ["command"]


@click.command(
    "serve",
    short_help="Serve models over HTTP (Open Inference Protocol).",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument(
    "paths", nargs=-1, required=True, metavar="PACKAGE…", type=click.Path(path_type=Path)
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="0 picks a free one.")
@click.option("--workers", default=1, show_default=True, help="Processes that answer.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="Requests must bear the token in it."
)
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without a token.")
@click.option("--allowed-host", "hosts", multiple=True, metavar="NAME", help="Host header; repeat.")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file, for TLS.")
@click.option("--certificate-key", type=click.Path(path_type=Path), help="PEM file, for TLS.")
@click.option(
    "--public-key", type=click.Path(path_type=Path), help="Serve only what its owner signed."
)
@expect_name
@click.option(
    "--max-body", default=16 << 20, show_default=True, metavar="BYTES", help="Of a request."
)
@click.option("--max-connections", default=1000, show_default=True, help="Of each worker.")
@click.option("--access-log", is_flag=True, help="A line of JSON on stderr for each request.")
def command(
    paths: tuple[Path, ...],
    host: str,
    port: int,
    workers: int,
    token_file: Path | None,
    insecure: bool,
    hosts: tuple[str, ...],
    certificate: Path | None,
    certificate_key: Path | None,
    public_key: Path | None,
    name: str | None,
    max_body: int,
    max_connections: int,
    access_log: bool,
) -> None:
    """Serve each PACKAGE (or every package in a folder) by the Open Inference Protocol, KServe V2.

    The address is the first line on stderr. New versions are served as they are published, pins
    are followed. `/` is a page to try the models on, `/metrics` is for Prometheus, `/openapi.json`
    describes the rest. SIGTERM ends it once every request at hand is answered.

    \b
      gradline serve artifacts/orchard
      gradline serve artifacts --port 0
      gradline serve artifacts --host 0.0.0.0 --token-file token.txt
    """
    for option, number in (("--workers", workers), ("--max-body", max_body),
                         ("--max-connections", max_connections)):  # fmt: skip
        if number < 1:
            raise InputError(f"{option} {number}: expected 1 or more", code="bad-option")
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: expected 0 to 65535", code="bad-option")
    if (certificate is None) != (certificate_key is None):
        raise InputError("TLS needs both --certificate and --certificate-key", code="bad-option")
    for file in (certificate, certificate_key, public_key):
        if file is not None and not file.is_file():
            raise InputError(f"no file {file}", code="bad-option", hint="check the path")
    from gradline.serve.settings import LOOPBACK, Settings

    near = host in ("localhost", "127.0.0.1", "::1")
    if not near and token_file is None and not insecure:
        raise InputError(
            f"--host {host} is reached from other machines, and nothing protects the server",
            code="insecure",
            hint="--token-file FILE, or --insecure where something else does",
        )
    allowed = (*LOOPBACK, *hosts) if near else hosts or None
    with needs_extra():
        from gradline.serve.server import Listening, run
    settings = Settings(paths, public_key, token_file, allowed, max_body, access_log, name)
    run(settings, Listening(host, port, workers, certificate, certificate_key, max_connections))
