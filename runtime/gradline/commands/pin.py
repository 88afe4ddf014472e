"""`gradline pin`: make `load` and the server use one version, even if newer ones are published."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from gradline.commands import HELP, as_json, expect_name
from gradline.errors import InputError
from gradline.terminal.output import say, say_json


@click.command("pin", context_settings=HELP)
@click.argument("package", type=click.Path(path_type=Path))
@click.argument("version", required=False, metavar="VERSION")
@expect_name
@as_json
def command(package: Path, version: str | None, name: str | None, as_json: bool) -> None:
    """Pin a package to one version.

    From then on, loading PACKAGE (artifacts/NAME) gives VERSION; publishing never moves a pin. The
    version is loaded first, so that a damaged one is not pinned.

    \b
      gradline pin artifacts/orchard 1
      gradline unpin artifacts/orchard
    """
    from gradline.atomic import write_whole
    from gradline.model import load
    from gradline.package.versions import PIN, folder_name, published_versions

    if version is None:
        raise _without_version(package)
    versions = published_versions(package)
    if version not in map(str, versions):
        known = f"published: {', '.join(map(str, versions))}" if versions else "give artifacts/NAME"
        raise InputError(f"no version {version!r} in {package}", code="no-package", hint=known)
    model = load(package / version, name=name or folder_name(package))
    write_whole(package / PIN, lambda file: file.write(f"{version}\n".encode()))
    if as_json:
        say_json({"name": model.name, "pinned": int(version), "newest": versions[-1]})
        return
    newest = "the newest" if versions[-1] == int(version) else f"the newest is {versions[-1]}"
    say(f"{package} is pinned to version {version} ({newest})")


def _without_version(package: Path) -> InputError:
    """Build the error for a call without VERSION; PACKAGE may be a version's folder."""
    is_version = package.name.isdecimal()
    words = [str(package.parent), package.name] if is_version else [str(package), "VERSION"]
    hint = shlex.join(["gradline", "pin", *words])
    return InputError("no VERSION: which one to pin?", code="bad-option", hint=hint)
