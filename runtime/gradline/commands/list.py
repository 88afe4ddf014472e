"""`gradline list`: list packages, and which version of each is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gradline.commands import HELP, as_json
from gradline.errors import InputError, PackageError
from gradline.formatting import label, number
from gradline.terminal.layout import Grid
from gradline.terminal.output import say, say_json, show


@click.command("list", context_settings=HELP)
@click.argument("root", type=click.Path(path_type=Path), default=Path("artifacts"))
@as_json
def command(root: Path, as_json: bool) -> None:
    """List packages and their versions.

    ROOT is a folder of packages (default: artifacts), or one package. Seals are checked, models
    are not: `gradline verify` does that. An arrow marks the version that `load` takes, which is
    the pinned one or else the newest.

    \b
      gradline list artifacts
      gradline list artifacts/orchard --json
    """
    from gradline.package.versions import published_versions

    if not root.is_dir():
        raise InputError(f"no folder {root}", code="no-package", hint="give a folder of packages")
    folders = [root] if published_versions(root) else sorted(root.iterdir())
    packages = [_package(folder) for folder in folders if published_versions(folder)]
    if as_json:
        say_json({"root": str(root), "packages": packages})
        return
    if not packages:
        say(f"no packages in {root}")
        return
    head = ["package", "version", "rows", "features", "targets", "dtype", "R²", "signed"]
    rows = [_row(package, found) for package in packages for found in package["versions"]]
    problems = [f"Error: {p['problem']}" for p in packages if p["problem"]]
    show([Grid([head, *rows], indent=0), *problems])


def _package(folder: Path) -> dict[str, Any]:
    from gradline.package.versions import folder_name, pinned_version, published_versions

    versions, name = published_versions(folder), folder_name(folder)
    pinned, problem = None, None
    try:
        pinned = pinned_version(folder, versions)
    except PackageError as error:
        problem = str(error)
    return {
        "name": name,
        "pinned": pinned,
        "loaded": None if problem else pinned or versions[-1],
        "problem": problem,
        "versions": [_version(folder / str(number), name) for number in versions],
    }


def _version(path: Path, name: str) -> dict[str, Any]:
    from gradline.package.manifest import learned_elsewhere
    from gradline.package.reading import read_manifest
    from gradline.package.signing import signature_path

    record: dict[str, Any] = {"version": int(path.name), "signed": signature_path(path).exists()}
    try:
        manifest = read_manifest(path)
        if manifest["name"] != name:
            return {**record, "problem": f"it belongs to the package {manifest['name']!r}"}
        if learned_elsewhere(manifest):
            return record | _of_elsewhere(manifest["schema"])
        schema, metrics = manifest["schema"], manifest["metrics"]
        which = "held_out" if metrics["held_out"] else "training"
        scores = [score["r2"] for score in metrics[which].values()]
        return {
            **record,
            "rows": manifest["training"]["rows"]["trained"],
            "features": schema["features"],
            "targets": schema["targets"],
            "dtype": schema["dtype"],
            "r2": scores,
            "r2_on": which,
            "problem": None,
        }
    except PackageError as error:
        return {**record, "problem": str(error)}
    except (LookupError, TypeError, AttributeError) as error:
        return {**record, "problem": f"manifest.json is incomplete ({error!r})"}


def _of_elsewhere(schema: dict[str, Any]) -> dict[str, Any]:
    """List what is known of a model that gradline did not learn."""
    found = {key: schema[key] for key in ("features", "targets", "dtype")}
    unknown = {"rows": None, "r2": None, "r2_on": None}
    return {**found, **unknown, "learned": "elsewhere", "problem": None}


def _row(package: dict[str, Any], found: dict[str, Any]) -> list[str]:
    mark = "→ " if found["version"] == package["loaded"] else ""
    pinned = " pinned" if found["version"] == package["pinned"] else ""
    place = [package["name"], f"{mark}{found['version']}{pinned}"]
    signed = "yes" if found["signed"] else "–"
    if found["problem"]:
        return [*place, "–", "–", f"damaged: {found['problem']}", "–", "–", signed]
    elsewhere = found["r2"] is None
    known = [score for score in found["r2"] or [] if score is not None]
    worst = f"{min(known):.4f}" if known else "learned elsewhere" if elsewhere else "–"
    targets = ", ".join(map(label, found["targets"][:3]))
    targets += f", … ({len(found['targets'])})" if len(found["targets"]) > 3 else ""
    on = " held out" if found["r2_on"] == "held_out" else ""
    return [
        *place,
        "–" if elsewhere else f"{found['rows']:,}",
        number(len(found["features"])),
        targets,
        found["dtype"],
        f"{'≥ ' * (len(known) > 1)}{worst}{on}",
        signed,
    ]
