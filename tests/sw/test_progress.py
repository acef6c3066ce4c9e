"""What bars and spinners show, on a terminal and where there is none."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.progress import TextColumn

from sw.progress import ToldProgress, shares, steps


def console_of(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def console(request):
    return console_of(request.param)


def text_of(console):
    """All that was shown, one after the other, without what moves a terminal's cursor."""
    return re.sub(r"\x1b\[[?\d]*\w", "", console.file.getvalue())


def test_nothing_is_shown_of_what_does_not_begin(console):
    with shares("loading", console), steps(console):
        pass
    assert text_of(console).strip() == ""


def test_a_sound_line(console):
    with shares("loading", console, lambda: 5) as report:
        report(0.5)
    assert "loading" in text_of(console)
    assert " 50%" in text_of(console)
    assert "bad line" not in text_of(console)


@pytest.mark.parametrize(
    ("after", "said"), [(6, "bad line, 1 repeat"), (1239, "bad line, 1,234 repeats")]
)
def test_repeats_are_those_since_the_beginning(console, after, said):
    repeated = 5
    with shares("loading", console, lambda: repeated) as report:
        report(0.5)
        repeated = after
    assert text_of(console).rstrip().endswith(said)


def test_steps(console):
    with steps(console) as begin:
        begin("first")
        begin("second")
    if console.is_terminal:
        assert "second 0:00:00" in text_of(console)
    else:
        assert text_of(console) == "first ...\nsecond ...\n"


def test_repeats_beside_steps():
    terminal, repeated = console_of(True), 0
    with steps(terminal, lambda: repeated) as begin:
        begin("trying")
        repeated = 2
    assert "bad line, 2 repeats" in text_of(terminal)


def test_each_description_is_told_before_it_takes_long(console):
    """In a line of its own where a bar would only be seen when all is over."""
    with ToldProgress(TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("building", total=2)
        told = text_of(console)
        bar.reset(task, description="running")
        for _ in range(2):
            bar.update(task, description="running", advance=1)
    if console.is_terminal:
        assert " ..." not in text_of(console)
    else:
        assert told == "building ...\n"
        assert text_of(console).count("running ...\n") == 1
