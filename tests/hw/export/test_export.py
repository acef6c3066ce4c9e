"""`thresher build --export`: from the command line to a folder that is whole, or not there."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
from cases import Case
from click.testing import CliRunner

from hw.config import PRESETS, ConfigError
from hw.export import Export, ExportError, check, write
from hw.export.verilog import heading
from sim.random_network import Recipe
from sw import format as thr
from sw import networks
from sw.cli import main
from sw.cli.export import stream_settings

ONE_LANE = dataclasses.replace(PRESETS["tiny"], lanes=1)
CASE = Case(ONE_LANE, Recipe([20, 12, 5], density=0.3), 1)


def thresher(*arguments):
    """The command as a user runs it: (exit status, stdout, stderr)."""
    result = CliRunner().invoke(main, ["build", *map(str, arguments)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.thr"
    thr.write(path, CASE.network)
    return path


class TestCommand:
    def test_with_a_network(self, tmp_path, model):
        folder = tmp_path / "export"
        arguments = ("--export", "axi", "--preset", "tiny", "--lanes", 1, "--model", model)
        status, out, err = thresher(*arguments, "-o", folder, "--json")
        assert status == 0, err
        summary = json.loads(out)
        assert json.loads((folder / "summary.json").read_text()) == summary
        assert summary["config"] == dataclasses.asdict(ONE_LANE)
        assert summary["model"] == {"file": "net.thr", "image_id": f"{CASE.image.id:08x}"}
        assert summary["memories"] is None
        assert summary["streams"] == dict(stream_settings(CASE.image).registers)
        assert {path.name for path in folder.iterdir()} == {"summary.json", *summary["files"]}
        for name in ("thresher_engine_grid_element_0_fetch.mem", "thresher.v"):
            assert (folder / name).read_bytes() == (
                CASE.written("axi", tmp_path / "same") / name
            ).read_bytes()

    def test_the_engine_of_a_board(self, tmp_path):
        arguments = ("--export", "axi", "--board", "hx8k", "--no-model", "-o", tmp_path / "export")
        status, out, err = thresher(*arguments)
        assert status == 0, err
        assert "none: the memories are empty" in out
        assert ".mem" not in out
        verilog = (tmp_path / "export" / "thresher.v").read_text()
        assert "input [7:0] s_axis_tdata;" in verilog  # its activations have 8 bits

    def test_the_shipped_network_is_left_out_if_nothing_can_be_in_the_memories(self, tmp_path):
        arguments = ("--export", "wishbone", "--board", "icebreaker", "-o", tmp_path / "export")
        status, out, err = thresher(*arguments, "--json")
        assert status == 0, err
        assert (
            "note: memories are left empty: lenet300100-best.thr cannot be built in: the memories "
            "of icebreaker hold nothing at power-up wishbone:"
        ) in err
        summary = json.loads(out)
        assert (summary["model"], summary["memories"]) == (None, "icebreaker")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--export", "apb"], "unknown export 'apb': it can be verilog, wishbone, axi"),
            (["--export", "axi", "--toolchain", "yosys"], "takes no --toolchain"),
            (["--export", "axi", "--model", "no.thr"], "no.thr"),
            (["--export", "axi", "--preset", "huge"], "unknown preset 'huge'"),
            (
                ["--export", "axi", "--board", "icebreaker", "--model", networks.LENET300100],
                "the memories of icebreaker hold nothing at power-up; build with --no-model",
            ),
        ],
    )
    def test_bad_input(self, tmp_path, arguments, message):
        status, out, err = thresher(*arguments, "-o", tmp_path / "export")
        assert (status, out) == (2, "")
        assert err.startswith("thresher build: ")
        assert message in err
        assert not (tmp_path / "export").exists()

    def test_no_folder_named(self):
        status, _, err = thresher("--export", "axi", "--no-model")
        assert status == 2
        assert "--export needs -o DIR" in err

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        arguments = ("--export", "verilog", "--preset", "tiny", "--lanes", 1, "--no-model")
        status, _, err = thresher(*arguments, "-o", tmp_path / "file" / "export")
        assert status == 2
        assert "cannot write to" in err


class TestFolder:
    def test_a_former_export_is_replaced(self, tmp_path):
        folder = CASE.written("wishbone", tmp_path / "export")
        (folder / "__pycache__").mkdir()  # as an import of the LiteX module leaves it
        write(Export("verilog", ONE_LANE), folder)
        assert json.loads((folder / "summary.json").read_text())["export"] == "verilog"
        assert list(folder.glob("*.mem")) == []
        assert list(tmp_path.iterdir()) == [folder]

    def test_what_else_is_there_stays(self, tmp_path):
        folder = CASE.written("verilog", tmp_path / "export")
        before = {path: path.read_bytes() for path in folder.iterdir()}
        (folder / "mine.v").write_text("mine")
        with pytest.raises(ExportError, match=r"holds mine\.v, which no export wrote"):
            write(Export("verilog", ONE_LANE), folder)
        assert {path: path.read_bytes() for path in before} == before
        assert (folder / "mine.v").read_text() == "mine"

    @pytest.mark.parametrize("summary", [None, "", "[]", "{}", '{"files": 1}'])
    def test_a_folder_that_is_no_export(self, tmp_path, summary):
        (tmp_path / "thresher.v").write_text("mine")
        if summary is not None:
            (tmp_path / "summary.json").write_text(summary)
        with pytest.raises(ExportError, match="which no export wrote"):
            check("verilog", tmp_path)

    def test_an_empty_folder_is_taken_and_a_file_is_not(self, tmp_path):
        check("verilog", tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(ExportError, match="is a file"):
            check("verilog", tmp_path / "file")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return CASE.written("axi", tmp_path_factory.mktemp("made") / "export")


class TestContents:
    def test_same_export_gives_the_same_files(self, exported, tmp_path):
        again = CASE.written("axi", tmp_path / "again")
        for path in exported.iterdir():
            assert path.read_bytes() == (again / path.name).read_bytes()
            assert str(Path(__file__).parents[3]) not in path.read_text()

    def test_contents_are_in_files_alone(self, exported):
        verilog = (exported / "thresher.v").read_text()
        named = [line.split('"')[1] for line in verilog.splitlines() if "$readmemh" in line]
        assert sorted(named) == sorted(path.name for path in exported.glob("*.mem"))
        # What no file gives, is a loop: there is no line for an item of a memory.
        assert "$readmemh" in verilog
        assert re.findall(r"initial begin\n +\S+\[\d+\] = ", verilog) == []

    def test_verilog_says_what_it_is(self, exported):
        lines = (exported / "thresher.v").read_text().splitlines()
        comment = "\n".join(itertools.takewhile(lambda line: line.startswith("// "), lines))
        for said in ("Thresher", "BSD-2-Clause", "axi", f"{ONE_LANE.digest:08x}"):
            assert said in comment
        assert f'"net.thr", id {CASE.image.id:08x}' in comment

    def test_no_name_of_a_file_ends_the_comment(self):
        model = {"file": "a\nb\u2028.thr", "image_id": "00000001"}
        summary = {"export": "axi", "config_digest": "00000002", "model": model}
        for line in heading(summary).splitlines():
            assert line.startswith("// ")
        assert heading(summary | {"model": None}).endswith(": none\n")

    def test_vivado_is_told_whose_clock_it_is(self, exported):
        verilog = (exported / "thresher.v").read_text()
        (buses,) = re.findall(r"ASSOCIATED_BUSIF ([\w:]+),.*\n  input aclk;", verilog)
        for bus in buses.split(":"):
            assert re.search(rf"(in|out)put (\[\d+:0\] )?{bus}_\w+;", verilog)

    def test_activations_that_do_not_suit_streams(self):
        config = dataclasses.replace(ONE_LANE, activation_bits=12)
        with pytest.raises(ConfigError, match="activation_bits is 12; streams need 4, 8 or 16"):
            Export("axi", config).regmap()
        assert Export("wishbone", config).regmap()
