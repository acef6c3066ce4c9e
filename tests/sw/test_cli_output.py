"""What verbs print where there is no terminal: lines as they are, tables of a fixed width."""

from __future__ import annotations

import io

import pytest
from rich.console import Group
from rich.table import Table

from sw.cli.output import console, emit

LINE = f"written to {'/folder' * 40}: it is long, and nothing breaks it"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_notes_are_whole_lines(capsys):
    console().print(LINE)
    assert capsys.readouterr().err == f"{LINE}\n"


def test_results_are_whole_lines_beside_tables_that_fit(capsys):
    table = Table(show_header=False)
    table.add_row("words", "word " * 100)
    emit({}, Group(table, LINE), as_json=False)
    *rows, last = capsys.readouterr().out.splitlines()
    assert last == LINE
    assert len(rows) > 3
    assert max(map(len, rows)) <= 100


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_terminal_gets_words_broken_at_its_width(monkeypatch, name):
    terminal = Terminal()
    monkeypatch.setattr(f"sys.{name}", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    if name == "stderr":
        console().print("word " * 20)
    else:
        emit({}, "word " * 20, as_json=False)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 3
    assert {len(line.strip()) for line in lines[:2]} == {39}
