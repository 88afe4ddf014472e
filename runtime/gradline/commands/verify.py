"""`gradline verify`: every proof that a package carries, checked on this machine."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.commands import expect_name
from gradline.terminal.output import say_json, show

if TYPE_CHECKING:
    from gradline.package.files import Package

__all__ = ["command"]


@click.command(
    "verify",
    short_help="Check all that a package proves, on this machine.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    help="PEM file; the package must be signed by its owner.",
)
@expect_name
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: str, public_key: Path | None, name: str | None, as_json: bool) -> None:
    """Check PACKAGE: seal, files, graph, and its golden rows on this machine.

    Where PyTorch is installed, the TorchScript and torch.export files predict the golden rows too.
    Exit code 0 where everything holds, 1 where anything does not.

    \b
      gradline verify artifacts/orchard
      gradline verify artifacts/orchard/1 --json
      gradline verify artifacts/orchard --public-key key.pub
    """
    from gradline.model import Model
    from gradline.package.golden import host_versions
    from gradline.package.reading import check_files, read_package
    from gradline.terminal.layout import Facts, Heading

    read = read_package(package, public_key, name)
    files = check_files(read)
    model = Model(read, self_test=False)
    share = read.golden.check(model.predict, read.graph) if read.golden else None
    rows = len(read.golden.inputs) if read.golden else 0
    others = _rerun(read)
    if as_json:
        report = {
            "verified": True,
            "name": model.name,
            "version": model.version,
            "path": str(read.path),
            "files": files,
            "signature": None if public_key is None else str(public_key),
            "golden_rows": rows,
            "largest_share_of_bound": share,
            "other_hosts": others,
            "host": host_versions(),
        }
        say_json(report)
        return
    version = "" if model.version is None else f" version {model.version}"
    proofs = [("graph", "y = x @ W.T + b and nothing else")]
    if share is None:
        proofs.append(("", "a bare ONNX file: no seal, no hashes, no golden rows to check"))
    else:
        proofs += [
            ("seal", "matches manifest.json"),
            ("files", f"{', '.join(files)}: sizes and SHA-256 match"),
            ("signature", _signature(read, public_key)),
            (
                "golden",
                f"{rows} rows predicted on this machine, the furthest uses {share:.0%} of its "
                "rounding bound",
            ),
            *((file, _told(found)) for file, found in others.items()),
            ("host", host_versions()),
        ]
    show([Heading(f"{model.name}{version} at {read.path}"), Facts(proofs)])


def _rerun(package: Package) -> dict[str, float | str]:
    """Run the PyTorch files on the golden rows, if PyTorch and the export wing are installed."""
    if find_spec("torch") is None or find_spec("onnx") is None:
        return {}
    found: dict[str, float | str] = {}
    for wing in entry_points(group="gradline", name="rerun"):
        found |= wing.load()(package)
    return found


def _signature(package: Package, public_key: Path | None) -> str:
    from gradline.package.signing import signature_path

    path = signature_path(package.path)
    if public_key is not None:
        return f"{path.name} is by the owner of {public_key}, over every file"
    return f"{path.name} not checked: --public-key FILE" if path.exists() else "none"


def _told(found: float | str) -> str:
    if isinstance(found, str):
        return found
    return f"predicts them too, the furthest uses {found:.0%}"
