"""A group of verbs that turns the user's mistakes into one sentence."""

from __future__ import annotations

from typing import Any

import click

from hw.config import ConfigError
from sw.entry import INTERRUPTED
from sw.errors import BadInput
from sw.interrupts import give_up

from .lazy import LazyGroup

__all__ = ["Verbs"]

_BAD_INPUT = 2


class Verbs(LazyGroup):
    """Its verbs' errors are one sentence that begins with the whole verb, and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise  # its message is the whole help
        except click.UsageError as error:
            where = _verb(ctx) if error.ctx is None else error.ctx.command_path
            _refuse(ctx, f"{where}: {error.format_message().rstrip('.')} (see {where} --help)")
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads on
        except (BadInput, ConfigError, OSError) as error:
            _refuse(ctx, f"{_verb(ctx)}: {error}")
        except KeyboardInterrupt:
            give_up()
            ctx.exit(INTERRUPTED)


def _verb(ctx: click.Context) -> str:
    return f"{ctx.command_path} {ctx.invoked_subcommand}"


def _refuse(ctx: click.Context, sentence: str) -> None:
    click.echo(" ".join(sentence.split()), err=True)
    ctx.exit(_BAD_INPUT)
