"""A group of verbs that turns the user's mistakes into one sentence."""

from __future__ import annotations

from typing import Any, NoReturn

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

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise  # its message is the whole help
        except click.UsageError as error:
            # What comes before any verb; of a group in another, that one's `invoke` tells.
            if error.ctx is None or error.ctx.parent is not None:
                raise
            _refuse(error.ctx, _usage(error, error.ctx.command_path))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise  # its message is the whole help
        except click.UsageError as error:
            where = _verb(ctx) if error.ctx is None else error.ctx.command_path
            _refuse(ctx, _usage(error, where))
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads on
        except (BadInput, ConfigError, OSError) as error:
            _refuse(ctx, f"{_verb(ctx)}: {error}")
        except KeyboardInterrupt:
            give_up()
            ctx.exit(INTERRUPTED)


def _verb(ctx: click.Context) -> str:
    return f"{ctx.command_path} {ctx.invoked_subcommand}"


def _usage(error: click.UsageError, where: str) -> str:
    return f"{where}: {error.format_message().rstrip('.')} (see {where} --help)"


def _refuse(ctx: click.Context, sentence: str) -> NoReturn:
    click.echo(" ".join(sentence.split()), err=True)
    ctx.exit(_BAD_INPUT)
