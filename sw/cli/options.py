"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["seed_option"]


def seed_option(of: str, default: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--seed S`, 0 or more, for what is random.

    Parameters
    ----------
    of : what that is, for the help
    """
    return click.option(
        "--seed",
        metavar="S",
        type=click.IntRange(0),
        default=default,
        show_default=True,
        help=f"Of {of}.",
    )
