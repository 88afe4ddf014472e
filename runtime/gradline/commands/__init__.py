"""The commands of the light runtime, a module each, and the options that several of them have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = [
    *("HELP", "as_json", "expect_name", "package_argument", "public_key", "reading_options"),
    "table_options",
]

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


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options on how a table is read: its texts, its nulls and its unknown categories."""
    options = (
        click.option(
            "--separator", metavar="C", help="Separator of CSV files. Default: by extension."
        ),
        click.option("--decimal-comma", is_flag=True, help="Read 1,5 as one and a half."),
        click.option(
            "--null",
            "nulls",
            multiple=True,
            metavar="TOKEN",
            help="Text that also means missing; repeat.",
        ),
        click.option(
            "--unknown-category",
            type=click.Choice(("error", "zero", "missing")),
            help="For a category that no training row had: stop, set all its indicators to 0, or "
            "give no prediction. Default: missing, and error for a package of format 1.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
