"""The folder of a build: what is in it, and that it is whole or not there."""

import dataclasses
import json
import types
from pathlib import Path

import numpy as np
import pytest

from hw.boards import BOARDS, find
from hw.config import PRESETS
from hw.project import Design, replacing, write_sources
from hw.regmap import Window

TINY = PRESETS["tiny"]
# The smallest engine.
ONE_LANE = dataclasses.replace(TINY, lanes=1)


class TestReplacing:
    def test_nothing_is_left_by_a_failure(self, tmp_path):
        def fail():
            with replacing(tmp_path / "made") as new:
                (new / "half").touch()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert list(tmp_path.iterdir()) == []

    def test_the_old_one_stays_until_the_new_one_is_whole(self, tmp_path):
        made = tmp_path / "made"
        with replacing(made) as new:
            (new / "first").touch()
        with replacing(made) as new:
            (new / "second").touch()
            assert [path.name for path in made.iterdir()] == ["first"]
        assert [path.name for path in made.iterdir()] == ["second"]
        assert list(tmp_path.iterdir()) == [made]


def filled(board):
    contents = {
        Window.BIAS: (np.array([[0xFFFFFFFF], [0x12]], np.uint32),),
        Window.PROGRAM: (np.array([[0x1, 0x2, 0x0, 0x0]], np.uint32),),
    }
    return Design(find(board), ONE_LANE, contents, 0xABCDEF)


@pytest.fixture(scope="module", params=list(BOARDS))
def sources(request, tmp_path_factory):
    """A board's sources of the smallest engine, with two memories filled: (board, folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    write_sources(filled(request.param), folder)
    return find(request.param), folder


class TestSources:
    vendor_files = types.MappingProxyType(
        {"xc7": {"top.xdc", "top.tcl"}, "ecp5": {"top.lpf", "top.ys"}}
    )

    def test_files(self, sources):
        board, folder = sources
        expected = {"top.v", "top.il", "build_top.sh", "config.json", "regmap.json", "csr.csv"}
        assert expected | self.vendor_files[board.family] <= {
            path.name for path in folder.iterdir()
        }
        config = json.loads((folder / "config.json").read_text())
        assert type(ONE_LANE)(**config) == ONE_LANE

    def test_clock_and_serial_port(self, sources):
        board, folder = sources
        if board.family == "xc7":
            constraints = (folder / "top.xdc").read_text()
            assert "-period 10.0" in constraints
            assert all(f"LOC {pin} " in constraints for pin in ("E3", "C2", "A9", "D10"))
            assert f"-part {board.part}" in (folder / "top.tcl").read_text()
            assert ".CLKOUT0_DIVIDE(32'd20)" in (folder / "top.v").read_text()
        else:
            constraints = (folder / "top.lpf").read_text()
            assert 'FREQUENCY PORT "clk25_0__io" 25000000' in constraints
            assert all(f'SITE "{pin}"' in constraints for pin in ("G2", "R1", "M1", "L4"))
            assert ".CLKFB_DIV(32'd18)" in (folder / "top.v").read_text()

    def test_memory_contents(self, sources):
        memory = sources[1] / "memory"
        assert (memory / "bias_000.hex").read_text() == "ffffffff\n00000012\n"
        (instruction,) = (memory / "program_000.hex").read_text().split()
        assert int(instruction, 16) == 0x2_0000_0001

    def test_memories_begin_with_the_contents(self, sources):
        # The bias memory, as RTLIL has it: item 1 above item 0.
        assert f"{0x12:032b}{0xFFFFFFFF:032b}" in (sources[1] / "top.il").read_text()

    @pytest.mark.parametrize("sources", ["ulx3s_85f"], indirect=True)
    def test_same_design_gives_the_same_files(self, sources, tmp_path):
        board, folder = sources
        write_sources(filled(board.name), tmp_path)
        for path in (path for path in folder.rglob("*") if path.is_file()):
            assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()
            assert str(Path(__file__).parents[2]) not in path.read_text()


class TestDigest:
    def test_tells_configurations_and_contents_apart(self):
        board = find("arty")
        assert Design(board, TINY).name == f"arty_a7_35t-{TINY.digest:08x}"
        assert Design(board, ONE_LANE).digest != Design(board, TINY).digest
        assert filled("ulx3s_85f").name == "ulx3s_85f-00abcdef"
