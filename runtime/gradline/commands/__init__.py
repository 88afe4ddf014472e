"""The commands of the light runtime, one module each."""

from __future__ import annotations

import click

__all__ = ["expect_name"]

#: The option that requires a package to have a given name, wherever its folder is.
expect_name = click.option(
    "--expect-name", "name", metavar="NAME", help="PACKAGE must be called so; see docs/versions.md."
)
