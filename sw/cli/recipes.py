"""`thresher recipes`: what the shipped recipes do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Group
from rich.table import Table

from sw.compress.recipe import NAMES, Recipe, load, read_text
from sw.errors import BadInput

from .output import emit, json_option

__all__ = ["recipes"]


@click.command(
    epilog="""
    \b
    Examples:
      thresher recipes
          lists them
      thresher recipes best
          explains one, setting by setting
      thresher recipes best --toml > mine.toml
          a copy to change, for thresher compress --recipe mine.toml
    """
)
@click.argument("name", metavar="[RECIPE]", required=False)
@click.option("--toml", "as_toml", is_flag=True, help="Print the file itself.")
@json_option
def recipes(name: str | None, as_toml: bool, as_json: bool) -> None:
    """List the recipes of `thresher compress`, or explain RECIPE (a name or a .toml file)."""
    if name is None:
        if as_toml:
            raise BadInput("--toml prints the file of one recipe: name it")
        listed = {each: load(each).description for each in NAMES}
        table = Table("recipe", "what it does")
        for each, description in listed.items():
            table.add_row(each, description)
        emit(listed, table, as_json)
        return
    recipe = load(name)
    if as_toml:
        if as_json:
            raise BadInput("--toml and --json are two forms of the same; give one")
        click.echo(read_text(name), nl=False)
        return
    emit(recipe.model_dump(), _explain(name, recipe), as_json)


def _explain(name: str, recipe: Recipe) -> Group:
    table = Table("setting", "value", "meaning")
    for setting, value, meaning in _settings(recipe):
        table.add_row(setting, value, meaning)
    for rule in recipe.layer:
        changes = rule.model_dump(exclude={"match"}, exclude_none=True)
        table.add_row(
            f"layers {rule.match}",
            "",
            ", ".join(f"{field} {value}" for field, value in changes.items()),
        )
    return Group(f"{name}: {recipe.description}", table)


def _settings(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(setting, value, meaning) of all that a part of a recipe says."""
    for field, info in type(part).model_fields.items():
        value: Any = getattr(part, field)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{field}.")
        elif info.description is not None and value is not None:
            yield prefix + field, str(value), info.description
