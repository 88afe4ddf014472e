"""The commands of the light runtime, a module each, and the options that several of them have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

__all__ = ["HELP", "as_json", "expect_name", "package_argument", "public_key", "reading_options"]

#: Each command has both names of the option, also if it is called without the group.
HELP = {"help_option_names": ["-h", "--help"]}
package_argument = click.argument("package", type=click.Path())
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
#: Requires a package to have a given name, whatever its folder is called.
expect_name = click.option(
    "--expect-name", "name", metavar="NAME", help="Refuse a package of another name."
)
public_key = click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    help="PEM file; PACKAGE must be signed with its private key.",
)


def reading_options(
    separator: str | None, nulls: Sequence[str], *, decimal_comma: bool
) -> list[str]:
    """List the words with which another command reads the same table."""
    words = ["--separator", separator] if separator else []
    words += ["--decimal-comma"] if decimal_comma else []
    return [*words, *(word for text in nulls for word in ("--null", text))]
