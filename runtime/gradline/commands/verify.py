"""`gradline verify`: check on this machine every proof that a package carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.commands import HELP, as_json, expect_name, package_argument, public_key
from gradline.terminal.layout import Facts, Heading
from gradline.terminal.output import say_json, show

if TYPE_CHECKING:
    from gradline.package.files import Package


@click.command("verify", context_settings=HELP)
@package_argument
@public_key
@expect_name
@as_json
def command(package: str, public_key: Path | None, name: str | None, as_json: bool) -> None:
    """Check a package's seal, files, graph and predictions.

    The golden rows of PACKAGE are predicted on this machine, by pipeline.onnx too. If PyTorch is
    installed, the TorchScript and torch.export files predict them as well. Exit code 0 if
    everything holds, else 1.

    \b
      gradline verify artifacts/orchard
      gradline verify artifacts/orchard/1 --json
      gradline verify artifacts/orchard --public-key key.pub
    """
    from gradline.package.golden import host_versions
    from gradline.package.onnx_runtime import open_session
    from gradline.package.proof import prove
    from gradline.package.reading import check_files, read_package

    read = read_package(package, public_key, name)
    files = check_files(read)
    share = prove(read, open_session(read.onnx))
    rows = len(read.golden.inputs) if read.golden else 0
    others = _run_pipeline(read) | _rerun(read)
    if as_json:
        report = {
            "verified": True,
            "name": read.graph.name,
            "version": read.version,
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
    version = "" if read.version is None else f" version {read.version}"
    proofs = [("graph", "y = x @ W.T + b and nothing else")]
    if share is None:
        proofs.append(("", "a bare ONNX file: no seal, no hashes, no golden rows to check"))
    else:
        proofs += [
            ("seal", "matches manifest.json"),
            ("files", f"{', '.join(files)}: sizes and SHA-256 match"),
            ("signature", _signature(read, public_key)),
            ("golden", f"{rows} rows predicted on this machine, using at most {_bound(share)}"),
            *((file, _rerun_result(found)) for file, found in others.items()),
            ("host", host_versions()),
        ]
    show([Heading(f"{read.graph.name}{version} at {read.path}"), Facts(proofs)])


def _run_pipeline(package: Package) -> dict[str, float | str]:
    """Run pipeline.onnx on the raw golden rows."""
    from gradline.package.onnx_runtime import open_session
    from gradline.package.proof import prove_pipeline

    if package.pipeline is None:
        return {}
    share = prove_pipeline(package, open_session(package.pipeline))
    return {} if share is None else {"pipeline.onnx": share}


def _rerun(package: Package) -> dict[str, float | str]:
    if find_spec("torch") is None or find_spec("onnx") is None:
        return {}
    from importlib.metadata import entry_points  # takes as long as the rest of `gradline --help`

    found: dict[str, float | str] = {}
    for wing in entry_points(group="gradline", name="rerun"):
        found |= wing.load()(package)
    return found


def _signature(package: Package, public_key: Path | None) -> str:
    from gradline.package.signing import signature_path

    path = signature_path(package.path)
    if public_key is not None:
        return f"{path.name} was made with the key of {public_key}, over every file"
    return f"{path.name} not checked: --public-key FILE" if path.exists() else "none"


def _rerun_result(found: float | str) -> str:
    if isinstance(found, str):
        return found
    return f"predicts them too, using at most {_bound(found)}"


def _bound(share: float) -> str:
    return f"{share:.0%} of the rounding bound"
