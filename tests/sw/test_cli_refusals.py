"""Networks that no engine or not this board can run: refused by every verb, in one sentence."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hand import layer_of, network_of
from onnx import TensorProto, helper, numpy_helper

from sw import format as thr
from sw.cli import main
from sw.convolution import Convolution

# What the fields of an instruction or a segment cannot hold, on any engine.
IMPOSSIBLE = {
    "output of 513": (
        [layer_of(Convolution(1, 513, 2, 1, 1), 2)],
        "layer layer0: its output has a side of 513; the engine has 512 at most",
    ),
    "plane of 513 with padding": (
        [
            layer_of(Convolution(1, 511, 2, 1, 1), 16),
            layer_of(Convolution(16, 511, 2, 3, 2, 2, 1), 1),
        ],
        "layer layer1: its plane has a side of 513 with its padding; the engine has 512 at most",
    ),
    "kernel of 65 with padding": (
        [layer_of(Convolution(32, 65, 2, 65, 2, padding=1), 1)],
        "layer layer0: its kernel has a side of 65; with padding, the engine has 64 at most",
    ),
    "window of 17": (
        [layer_of(Convolution(1, 17, 17, 1, 1, pool=17), 2)],
        "layer layer0: each group is at 289 positions of a pooling window; the engine has 256 at "
        "most",
    ),
    "planes of a vector": (
        [layer_of(5, 16), layer_of(Convolution(1, 4, 4, 2, 2), 3)],
        "layer layer1 takes planes of 4 × 4, but is given planes of 1 × 1; the engine does not "
        "rearrange activations",
    ),
}
# What the memories of the Arty cannot hold.
TOO_LARGE = {
    "activations": (
        [layer_of(Convolution(3, 32, 32, 3, 3, padding=1), 9)],
        "layer layer0: 1466 activation words per group and vector are needed, 512 are there, 954 "
        "too few; activation_depth = 2048 would do",
    ),
    "segments": (
        [layer_of(Convolution(32, 9, 9, 9, 9, padding=1), 2)],
        "layer layer0: 81 segments of patches of a group are needed, 64 are there, 17 too few; "
        "segment_depth = 128 would do",
    ),
    "columns": (
        [layer_of(4128, 2)],
        "layer layer0: 1032 column pointers of a processing element are needed, 768 are there, 264 "
        "too few; column_depth = 2048 would do",
    ),
}
VERBS = {
    "fit": ["--board", "arty"],
    "sim": ["--inputs", "x.npy"],
    "build": ["--board", "arty", "--model"],
    "load": ["--port", "/dev/null", "--board", "arty"],
    "run": ["--port", "/dev/null", "--board", "arty", "--inputs", "x.npy"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def sentence_of(result):
    """What a verb says that refuses its input: one line, exit status 2, nothing on stdout."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
    return result.stderr.splitlines()[-1]


def run_on(verb, layers):
    thr.write("net.thr", network_of(*layers))
    options = VERBS[verb]
    return run(verb, *options, "net.thr") if verb == "build" else run(verb, "net.thr", *options)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_engine_can(verb, case):
    layers, reason = IMPOSSIBLE[case]
    assert sentence_of(run_on(verb, layers)) == f"thresher {verb}: net.thr: {reason}"


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_no_engine_of_other_lanes_can(case):
    layers, reason = IMPOSSIBLE[case]
    thr.write("net.thr", network_of(*layers))
    result = run("sim", "net.thr", "--lanes", 3, "--inputs", "x.npy")
    assert sentence_of(result) == f"thresher sim: net.thr: {reason}"


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"fit"}))
@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_the_board_has_no_room_for(verb, case, folder):
    layers, reason = TOO_LARGE[case]
    assert sentence_of(run_on(verb, layers)) == f"thresher {verb}: net.thr: {reason}"
    assert [path.name for path in folder.iterdir()] == ["net.thr"]  # nothing was begun


@pytest.mark.parametrize("case", TOO_LARGE)
def test_fit_shows_what_is_short(case):
    layers, reason = TOO_LARGE[case]
    result = run_on("fit", layers)
    assert result.exit_code == 1
    assert f"net.thr on arty: does not fit: {reason}" in " ".join(result.stdout.split())
    record = json.loads(run("fit", "net.thr", "--json").stdout)
    short = [each for each in record["memories"] if each["used"] > each["available"]]
    assert [each["layer"] for each in short] == ["layer0"]
    assert f"{short[0]['used']} {short[0]['holds']} are needed" in record["short"]
    assert reason.endswith(
        f"{short[0]['knob']} = {1 << (short[0]['used'] - 1).bit_length()} would do"
    )


def test_an_engine_of_more_lanes_holds_what_the_board_does_not():
    layers, _ = TOO_LARGE["activations"]
    thr.write("net.thr", network_of(*layers))
    np.save("x.npy", np.ones((1, 3 * 32 * 32)))
    result = run("sim", "net.thr", "--lanes", 8, "--inputs", "x.npy", "--target", "image")
    assert result.exit_code == 0, result.stderr
    assert "to the bit" in result.stdout


class TestImport:
    """`thresher compress`, of graphs that no .thr file can tell of."""

    def sentence(self, **attributes):
        shape = attributes.pop("shape", (1, 4, 6, 6))
        weights = np.ones((2, attributes.pop("columns", 4), 3, 3), np.float32)
        node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", **attributes)
        graph = helper.make_graph(
            [node],
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(weights, "w")],
        )
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), "net.onnx")
        return sentence_of(run("compress", "net.onnx", "-o", "out.thr"))

    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({"shape": (1, 4, 2, 6)}, "the kernel of 3 × 3 is larger than the input of 2 × 6"),
            ({"dilations": [2, 2]}, "its dilations are [2, 2]; only [1, 1] is supported"),
            ({"group": 3, "columns": 1}, "its 2 output channels do not split into 3 groups"),
        ],
    )
    def test_refusals_name_file_node_and_numbers(self, attributes, reason, folder):
        said = self.sentence(**attributes)
        assert said == f"thresher compress: net.onnx: node 'conv' (Conv): {reason}"
        assert not (folder / "out.thr").exists()
