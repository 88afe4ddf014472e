"""The `gradline` command: a table of commands, each imported when it is called."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import click

from gradline.errors import GradlineError, InputError, nearest, needs_extra
from gradline.terminal.output import fail, prepare, silence, tell, unwritten

__all__ = ["COMMANDS", "cli", "run"]

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
    """A group whose commands are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a model's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        name = ALIASES.get(cmd_name, cmd_name)
        return import_command(name) if name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the name, the command and its arguments."""
        if args[0] not in {*COMMANDS, *ALIASES} and not ctx.resilient_parsing:
            hint = nearest(args[0], [*COMMANDS, *ALIASES])
            raise InputError(f"No such command {args[0]!r}", code="usage", hint=hint)
        return super().resolve_command(ctx, args)


def import_command(name: str) -> click.Command:
    """Return the command of that name in the table."""
    command: click.Command = importlib.import_module(COMMANDS[name]).command
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


def run(arguments: Sequence[str], prog_name: str = "gradline") -> int:
    """Return the exit status of `gradline`, or of one of its commands called on its own.

    Raises:
        KeyboardInterrupt: Where it was interrupted.
    """
    prepare()
    try:
        with needs_extra():
            program = import_command(prog_name) if prog_name in COMMANDS else cli
            status = program.main(list(arguments), prog_name=prog_name, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except GradlineError as error:
        fail(arguments, str(error), error.hint, error.code)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        tell(error.format_message())
    except click.UsageError as error:
        hint = f"{error.ctx.command_path} --help shows the options" if error.ctx else ""
        fail(arguments, _misused(error), hint, "usage")
    except click.ClickException as error:
        fail(arguments, error.format_message(), "", "usage")
    except click.Abort:  # click's name for an interrupt
        raise KeyboardInterrupt from None
    except SystemExit as error:
        if error.code == 1:  # click's answer to a reader that leaves while it prints --help
            silence(sys.__stdout__)
            return 0
        if error.code == 128 + signal.SIGTERM:
            fail(arguments, "ended by SIGTERM", "nothing is left half done", "terminated")
        raise
    except OSError as error:
        _fail_outside(arguments, error)
    return 2


def _misused(error: click.UsageError) -> str:
    """Word the message for a wrong call; dashes alone do not make two options similar."""
    if not isinstance(error, click.NoSuchOption):
        return error.format_message()
    names = {other.lstrip("-"): other for other in error.possibilities or ()}
    near = get_close_matches(error.option_name.lstrip("-"), names, cutoff=0.7)
    known = [names[name] for name in near]
    return click.NoSuchOption(error.option_name, possibilities=known).format_message()


def _fail_outside(arguments: Sequence[str], error: OSError) -> None:
    """Tell of an operating system's error that no command foresaw; of stdout where no file's."""
    reason = error.strerror or str(error)
    if error.filename is None:
        silence(sys.stdout)
        full = unwritten(reason)
        fail(arguments, str(full), full.hint, full.code)
    else:
        fail(arguments, f"{error.filename}: {reason}", "check the path and its rights", "os-error")
