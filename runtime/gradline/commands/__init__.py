"""The commands of the light runtime, a module each, and the options that several of them have."""

from __future__ import annotations

import click

__all__ = ["as_json", "expect_name", "package_argument"]

package_argument = click.argument("package", type=click.Path())
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
#: Requires a package to have a given name, whatever its folder is called.
expect_name = click.option(
    "--expect-name", "name", metavar="NAME", help="Refuse a package of another name."
)
