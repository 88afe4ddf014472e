"""Write docs/commands.md from the commands' help: `make docs`."""

from __future__ import annotations

from pathlib import Path

import click

from gradline.commands.group import COMMANDS, cli, import_command

__all__ = ["reference"]

PAGE = Path(__file__).with_name("commands.md")
WIDTH = 80
OPENING = """\
# Commands

`make docs` writes this page from the commands' help: change the help, not this page.

Exit codes of every command: 0 done; 1 the command ran and the answer is no (diverged, refused,
verification failed); 2 bad input or usage; 130 interrupted. The answer is on stdout; progress,
warnings and errors are on stderr. If a command has `--json`, its answer is one JSON object on
stdout. An error is then one JSON object on stderr, with the members `error` (a code that never
changes), `message` and `hint`.

`gradline train` is short for `gradline train-and-export`.
"""


def reference() -> str:
    """Write the page: each command's help, as a console shows it."""
    index = [
        f"- [`{name}`](#{name}): {import_command(name).get_short_help_str(WIDTH)}"
        for name in COMMANDS
    ]
    sections = [_section("gradline", "gradline", cli)]
    sections += [_section(name, f"gradline {name}", import_command(name)) for name in COMMANDS]
    return "\n".join([OPENING, *index, *sections])


def _section(title: str, called: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=called, terminal_width=WIDTH - 2, **command.context_settings
    )
    shown = command.get_help(context)
    section = f"\n## {title}\n\n```console\n$ {called} --help\n{shown}\n```"
    if not isinstance(command, click.Group) or command is cli:
        return section
    own = command.commands.items()
    return "\n".join([section, *(_section(f"{title} {n}", f"{called} {n}", c) for n, c in own)])


if __name__ == "__main__":
    PAGE.write_text(reference() + "\n")
