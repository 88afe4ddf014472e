"""`gradline serve`: serve models over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.commands import HELP, expect_name, public_key
from gradline.errors import InputError, needs_extra

FILE = click.Path(path_type=Path)
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@click.command(
    "serve", short_help="Serve models over HTTP (Open Inference Protocol).", context_settings=HELP
)
@click.argument("paths", nargs=-1, required=True, metavar="PACKAGE…", type=FILE)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="0 picks a free one.")
@click.option("--workers", default=1, show_default=True, help="Number of processes.")
@click.option("--token-file", type=FILE, help="Require the token in this file.")
@click.option("--insecure", is_flag=True, help="Accept other machines without a token.")
@click.option(
    "--allowed-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Also accept this Host; repeatable.",
)
@click.option("--certificate", type=FILE, help="PEM file for TLS.")
@click.option("--certificate-key", type=FILE, help="PEM file for TLS.")
@public_key
@expect_name
@click.option(
    "--max-body", default=16 << 20, show_default=True, metavar="BYTES", help="Largest request body."
)
@click.option("--max-connections", default=1000, show_default=True, help="Limit per worker.")
@click.option("--access-log", is_flag=True, help="Log each request as JSON on stderr.")
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
    """Serve each PACKAGE, or every package in a folder, over HTTP.

    The protocol is the Open Inference Protocol (KServe V2). The first line on stderr is the
    address: `/` there is a page for trying the models, `/metrics` is for Prometheus, and
    `/openapi.json` describes everything. New versions and pins take effect within a second.
    SIGTERM ends the server after its open requests.

    \b
      gradline serve artifacts/orchard
      gradline serve artifacts --port 0
      gradline serve artifacts --host 0.0.0.0 --token-file token.txt
    """
    counts = {"workers": workers, "max-body": max_body, "max-connections": max_connections}
    for option, number in counts.items():
        if number < 1:
            raise InputError(f"--{option} {number}: expected 1 or more", code="bad-option")
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: expected 0 to 65535", code="bad-option")
    if (certificate is None) != (certificate_key is None):
        raise InputError("TLS needs both --certificate and --certificate-key", code="bad-option")
    for file in (certificate, certificate_key, public_key):
        if file is not None and not file.is_file():
            raise InputError(f"no file {file}", code="bad-option", hint="check the path")
    is_local = host in ("localhost", "127.0.0.1", "::1")
    if not is_local and token_file is None and not insecure:
        raise InputError(
            f"--host {host} accepts requests from other machines, and no token is set",
            code="insecure",
            hint="add --token-file FILE, or --insecure if something else protects the server",
        )
    allowed = (*LOOPBACK, *hosts) if is_local else hosts
    with needs_extra():
        from gradline.serve.limits import Limits, read_token
        from gradline.serve.server import Listening, serve
    token = None if token_file is None else read_token(token_file)
    allowed_hosts = frozenset(map(str.lower, allowed)) if allowed else None
    limits = Limits(max_body, token, allowed_hosts, access_log)
    listening = Listening(host, port, workers, certificate, certificate_key, max_connections)
    serve(paths, limits, listening, public_key, name)
