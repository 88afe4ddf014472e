"""Run the `gradline` command: a table of commands, each imported when it is called."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence

import click

from gradline.commands import HELP
from gradline.commands.suggestions import describe_misuse
from gradline.errors import GradlineError, needs_extra
from gradline.terminal.output import fail, prepare, silence, tell, unwritten

COMMANDS = {
    "train-and-export": "gradline_export.command",
    "moments": "gradline_trainer.saved.command",
    "predict": "gradline.commands.predict",
    "inspect": "gradline.commands.inspect",
    "verify": "gradline.commands.verify",
    "sign": "gradline.commands.sign",
    "serve": "gradline.commands.serve",
    "list": "gradline.commands.list",
    "diff": "gradline.commands.diff",
    "pin": "gradline.commands.pin",
    "unpin": "gradline.commands.unpin",
}
ALIASES = {"train": "train-and-export"}


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    aliases = ALIASES

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of a model's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; return None if there is none."""
        name = ALIASES.get(cmd_name, cmd_name)
        return import_command(name) if name in COMMANDS else None


def import_command(name: str) -> click.Command:
    """Import the command of that name in the table."""
    command: click.Command = importlib.import_module(COMMANDS[name]).command
    return command


@click.group(cls=LazyGroup, context_settings=HELP)
@click.version_option(package_name="gradline", message="gradline %(version)s")
def cli() -> None:
    """Learn a linear model by gradient descent, ship it, and predict with it.

    \b
      train-and-export                            the built-in orchard table
      train-and-export sales.csv -t revenue       a table of your own
      gradline predict artifacts/sales new.csv    predictions, as CSV on stdout

    `gradline COMMAND --help` shows a command's options and more examples.
    """


def run(arguments: Sequence[str], prog_name: str = "gradline") -> int:
    """Run `gradline`, or one of its commands on its own, and return the exit status."""
    prepare()
    try:
        with needs_extra():
            program = import_command(prog_name) if prog_name in COMMANDS else cli
            status = program.main(list(arguments), prog_name=prog_name, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except GradlineError as error:
        fail(arguments, str(error), error.command_hint, error.code)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        tell(error.format_message())
    except click.UsageError as error:
        fail(arguments, *describe_misuse(error), "usage")
    except click.ClickException as error:
        fail(arguments, error.format_message(), "", "usage")
    except click.Abort:  # click's name for an interrupt
        raise KeyboardInterrupt from None
    except SystemExit as error:
        if error.code == 1:  # click's answer to a reader that leaves while it prints --help
            silence(sys.__stdout__)
            return 0
        if error.code == 128 + signal.SIGTERM:
            fail(arguments, "ended by SIGTERM", "no incomplete output is left", "terminated")
        raise
    except OSError as error:
        _fail_outside(arguments, error)
    return 2


def _fail_outside(arguments: Sequence[str], error: OSError) -> None:
    """Report an unexpected OSError; without a file name, it concerns stdout."""
    reason = error.strerror or str(error)
    if error.filename is None:
        silence(sys.stdout)
        full = unwritten(reason)
        fail(arguments, str(full), full.command_hint, full.code)
    else:
        hint = "check the path and its permissions"
        fail(arguments, f"{error.filename}: {reason}", hint, "os-error")
