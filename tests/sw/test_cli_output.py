"""What verbs print where there is no terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Group
from rich.table import Table

from sw.cli.output import check_folder, check_output, console, emit
from sw.errors import BadInput

LINE = f"written to {'/folder' * 40}: it is long, and nothing breaks it"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_notes_are_whole_lines(capsys):
    console().print(LINE)
    assert capsys.readouterr().err == f"{LINE}\n"


def test_tables_and_their_texts_have_100_columns(capsys):
    table = Table(show_header=False)
    table.add_row("words", "word " * 100)
    emit({}, Group(table, "word " * 100), as_json=False)
    assert {len(line) for line in capsys.readouterr().out.splitlines()} == {100}


def test_a_command_is_one_line(capsys):
    emit({}, LINE, as_json=False)
    assert capsys.readouterr().out == f"{LINE}\n"


def test_a_terminal_gets_notes_broken_at_its_width(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    console().print("word " * 20)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 3
    assert {len(line.strip()) for line in lines[:2]} == {39}


def test_an_output_is_checked_and_not_made(tmp_path):
    (tmp_path / "there").write_text("kept")
    for name in ("new", "there"):
        check_output(tmp_path / name, tmp_path / "source", None)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there", "kept")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/proc/x.html", "/proc/x.html cannot be written: No such file or directory"),
        ("none/x.html", "none/x.html cannot be written: there is no folder none"),
        ("/dev", "/dev cannot be written: it is not a regular file"),
        ("/dev/null", "/dev/null cannot be written: it is not a regular file"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_an_output(name, message):
    with pytest.raises(BadInput, match=message):
        check_output(Path(name))


def test_an_output_is_no_input(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "source")
    with pytest.raises(BadInput, match="/link is read and would be overwritten"):
        check_output(tmp_path / "link", None, tmp_path / "source")


def test_a_folder_of_outputs_is_checked_and_not_made(tmp_path):
    for folder in (tmp_path, tmp_path / "a" / "b"):
        check_folder(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_folder_of_outputs(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link", "file/below", "link/below"):
        with pytest.raises(BadInput, match=f"/{name} cannot be a folder of outputs: /.* is none"):
            check_folder(tmp_path / name)
    with pytest.raises(BadInput, match="cannot be written: File name too long"):
        check_folder(tmp_path / ("x" * 300))
