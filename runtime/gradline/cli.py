"""The `gradline` command: a table of commands, each imported when it is called."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from gradline.errors import GradlineError, needs_extra

__all__ = ["cli", "main", "train_and_export"]

COMMANDS = {
    "train-and-export": "gradline_export.command",
    "predict": "gradline.commands.predict",
    "inspect": "gradline.commands.inspect",
    "verify": "gradline.commands.verify",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a model's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradline", message="gradline %(version)s")
def cli() -> None:
    """Learn a linear model by gradient descent, ship it, and predict from it.

    \b
      train-and-export                            the built-in orchard table
      train-and-export sales.csv -t revenue       a table of your own
      gradline predict artifacts/sales new.csv    predictions, as CSV on stdout

    `COMMAND --help` shows each command's options and more examples.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run `gradline` and exit: 0 done, 1 the answer is no, 2 bad input, 130 interrupted."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        with needs_extra():
            status = cli.main(arguments, prog_name="gradline", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except GradlineError as error:
        _fail(arguments, str(error), error.hint, error.code, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        hint = f"{error.ctx.command_path} --help shows the options" if error.ctx else ""
        _fail(arguments, error.format_message(), hint, "usage", 2)
    except click.ClickException as error:
        _fail(arguments, error.format_message(), "", "usage", 2)
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except (click.Abort, KeyboardInterrupt):
        _fail(arguments, "interrupted", "nothing is left half done", "interrupted", 130)


def train_and_export() -> NoReturn:
    """Run `train-and-export`, which is `gradline train-and-export`."""
    main(["train-and-export", *sys.argv[1:]])


def _fail(arguments: list[str], message: str, hint: str, code: str, status: int) -> NoReturn:
    if "--json" in arguments:
        report = {"error": code, "message": message, "hint": hint}
        click.echo(json.dumps(report, ensure_ascii=False), err=True)
    else:
        click.echo(f"Error: {message}", err=True)
        if hint:
            click.echo(f"  {hint}", err=True)
    sys.exit(status)
