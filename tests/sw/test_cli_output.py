"""What verbs print where there is no terminal."""

from __future__ import annotations

import io

from rich.table import Table

from sw.cli.output import console, emit

LINE = f"written to {'/folder' * 40}: it is long, and nothing breaks it"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_notes_are_whole_lines(capsys):
    console().print(LINE)
    assert capsys.readouterr().err == f"{LINE}\n"


def test_tables_and_texts_have_100_columns(capsys):
    table = Table(show_header=False)
    table.add_row("words", "word " * 100)
    emit({}, table, as_json=False)
    emit({}, "word " * 100, as_json=False)
    assert {len(line) for line in capsys.readouterr().out.splitlines()} == {100}


def test_a_terminal_gets_notes_broken_at_its_width(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    console().print("word " * 20)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 3
    assert {len(line.strip()) for line in lines[:2]} == {39}
