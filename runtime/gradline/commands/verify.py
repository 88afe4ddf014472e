"""`gradline verify`: every proof that a package carries, checked on this machine."""

from __future__ import annotations

import click

from gradline.terminal import say, say_json

__all__ = ["command"]


@click.command(
    "verify",
    short_help="Check all that a package proves, on this machine.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(package: str, as_json: bool) -> None:
    """Check PACKAGE: seal, files, graph, and its golden rows on this machine.

    Exit code 0 where everything holds, 1 where anything does not.

    \b
      gradline verify artifacts/orchard
      gradline verify artifacts/orchard/1 --json
    """
    from gradline.model import Model
    from gradline.package import check_files, read_package

    read = read_package(package)
    files = check_files(read)
    model = Model(read, self_test=False)
    share = read.golden.check(model.predict, read.graph) if read.golden else None
    rows = len(read.golden.inputs) if read.golden else 0
    if as_json:
        report = {
            "verified": True,
            "name": model.name,
            "version": model.version,
            "path": str(read.path),
            "files": files,
            "golden_rows": rows,
            "largest_share_of_bound": share,
        }
        say_json(report)
        return
    version = "" if model.version is None else f" version {model.version}"
    lines = [
        f"{model.name}{version} at {read.path}",
        "  graph   y = x @ W.T + b and nothing else",
    ]
    if share is None:
        lines += ["  a bare ONNX file: no seal, no hashes, no golden rows to check"]
    else:
        lines += [
            "  seal    matches manifest.json",
            f"  files   {', '.join(files)}: sizes and SHA-256 match",
            f"  golden  {rows} rows predicted on this machine, the furthest uses {share:.0%} of "
            "its rounding bound",
        ]
    say("\n".join(lines))
