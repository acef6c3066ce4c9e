"""A click group whose commands are imported only when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from sw.entry import importing

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Group of commands over a table.

    Parameters
    ----------
    table : mapping
        Name -> (module:attribute, one line of help). The help is in it so that listing the commands
        imports none.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module_name, attribute = self.table[cmd_name][0].split(":")
        try:
            with importing():
                module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # What is missing may be of an extra that is not installed.
            raise click.UsageError(
                f"{cmd_name!r} is not available: Python module {error.name!r} is not installed"
            ) from error
        command: click.Command = getattr(module, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
