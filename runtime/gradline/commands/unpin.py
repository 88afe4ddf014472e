"""`gradline unpin`: have `load` and the server take a package's newest version again."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.errors import InputError, OutputError
from gradline.terminal.output import say, say_json

__all__ = ["command"]


@click.command(
    "unpin",
    short_help="Undo a pin: the newest version is loaded again.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: Path, as_json: bool) -> None:
    """Remove the pin of PACKAGE (artifacts/NAME), where there is one.

    \b
      gradline unpin artifacts/orchard
    """
    from gradline.atomic import flush_folder
    from gradline.package.versions import PIN, published_versions

    versions = published_versions(package)
    if not versions:
        raise InputError(f"no package in {package}", code="no-package", hint="give artifacts/NAME")
    try:
        (package / PIN).unlink()
        flush_folder(package)
        pinned = True
    except FileNotFoundError:
        pinned = False
    except OSError as error:
        raise OutputError(
            f"cannot remove {package / PIN}: {error.strerror}", code="cannot-write"
        ) from error
    if as_json:
        say_json({"unpinned": pinned, "newest": versions[-1]})
        return
    said = "is no longer pinned" if pinned else "was not pinned"
    say(f"{package} {said}: version {versions[-1]}, the newest, is loaded")
