"""Click options, made from the declarations in `gradline_trainer.options`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from gradline.errors import InputError
from gradline_trainer.options import ROBUST_KINDS, Accepted, Options, accepted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["Number", "TrainingCommand", "repeated", "training_option"]


class Number(click.ParamType["float | str"]):
    """A number, or one of the words that an option accepts."""

    name = "number"

    def __init__(self, values: Accepted) -> None:
        self.values = values

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name the value in the help."""
        return "|".join(["NUMBER", *self.values.words])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Read a number or a word; the words' options check their ranges themselves."""
        values = self.values
        if value in values.words or values.number is None:
            return str(value)
        try:
            number = values.number(value)
        except ValueError:
            number = None
        if values.words and number is None:
            self.fail(f"{value!r} is neither a number nor 'auto'", param, ctx)
        if number is None or not (values.words or values.least <= number < values.below):
            self.fail(f"{value!r} is not {values.expected}", param, ctx)
        return number

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the words."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(w) for w in self.values.words if w.startswith(incomplete)]


class TrainingCommand(click.Command):
    """A command whose flag --robust takes no value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; explain a kind after --robust, which would be taken for DATA."""
        for word, following in pairwise([] if ctx.resilient_parsing else args):
            if word == "--robust" and following in ROBUST_KINDS:
                raise InputError(
                    f"--robust takes no value, but {following} follows it",
                    code="bad-option",
                    hint=f"--robust-kind {following}",
                )
        return super().parse_args(ctx, args)


def training_option(name: str) -> Callable[[Any], Any]:
    """Declare a command's option from the field of `Options` with that name."""
    values, default = accepted()[name], getattr(Options, name)
    numeric = values.number is not None
    return click.option(
        f"--{name.replace('_', '-')}",
        default=default,
        show_default=default is not None,
        type=Number(values) if numeric else click.Choice(values.words),
        help=values.help,
    )


def repeated(*names: str, metavar: str, help: str) -> Callable[[Any], Any]:
    """Declare an option that may be given several times."""
    return click.option(*names, multiple=True, metavar=metavar, help=help)
