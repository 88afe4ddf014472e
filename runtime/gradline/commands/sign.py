"""`gradline sign`: put a signature beside a package."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.commands import HELP, as_json, package_argument
from gradline.terminal.output import say, say_json


@click.command("sign", context_settings=HELP)
@package_argument
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="PEM file of a private key."
)
@as_json
def command(package: str, key: Path, as_json: bool) -> None:
    """Sign a package with a private key.

    The signature has the OpenSSF model-signing format and needs an elliptic-curve key. Everything
    that `gradline verify` checks is checked first. The signature covers every file of the version
    and is written beside it, as VERSION.sig; an existing one is replaced.

    \b
      openssl ecparam -name prime256v1 -genkey -noout -out key.pem
      openssl ec -in key.pem -pubout -out key.pub
      gradline sign artifacts/orchard --key key.pem
      gradline verify artifacts/orchard --public-key key.pub
    """
    from gradline.model import Model
    from gradline.package.reading import check_files, read_package
    from gradline.package.signing import sign

    read = read_package(package)
    check_files(read)
    model = Model(read)
    path = sign(read, key)
    if as_json:
        say_json({"name": model.name, "version": model.version, "signature": str(path)})
    else:
        say(f"{path} signs {model.name} version {model.version}")
