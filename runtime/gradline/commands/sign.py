"""`gradline sign`: a signature beside a package, by whoever stands for it."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.terminal.output import say, say_json

__all__ = ["command"]


@click.command(
    "sign",
    short_help="Sign a package with a private key.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="PEM file of a private key."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: str, key: Path, as_json: bool) -> None:
    """Sign PACKAGE in the OpenSSF model-signing format, with a key on an elliptic curve.

    Everything that `gradline verify` checks is checked first. The signature covers every file of
    the version and lies beside it, as VERSION.sig; one that is there already is replaced.

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
        return
    say(f"{path} signs {model.name} version {model.version}")
