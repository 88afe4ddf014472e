"""`gradline unpin`: make `load` and the server use a package's newest version again."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.commands import HELP, as_json
from gradline.errors import InputError, OutputError
from gradline.terminal.output import say, say_json


@click.command("unpin", context_settings=HELP)
@click.argument("package", type=click.Path(path_type=Path))
@as_json
def command(package: Path, as_json: bool) -> None:
    """Unpin a package: its newest version is loaded again.

    If PACKAGE (artifacts/NAME) has no pin, nothing changes.

    \b
      gradline unpin artifacts/orchard
    """
    from gradline.atomic import flush_folder
    from gradline.package.versions import PIN, published_versions

    versions = published_versions(package)
    if not versions:
        raise InputError(f"no package in {package}", code="no-package", hint="give artifacts/NAME")
    was_pinned = True
    try:
        (package / PIN).unlink()
        flush_folder(package)
    except FileNotFoundError:
        was_pinned = False
    except OSError as error:
        raise OutputError(
            f"cannot remove {package / PIN}: {error.strerror}", code="cannot-write"
        ) from error
    if as_json:
        say_json({"unpinned": was_pinned, "newest": versions[-1]})
        return
    said = "is no longer pinned" if was_pinned else "was not pinned"
    say(f"{package} {said}: version {versions[-1]}, the newest, is loaded")
