"""`--density` and `--code-bits` of all layers, and of some."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from sw import format as thr
from sw.cli import main
from sw.cli.per_layer import overrides
from sw.errors import BadInput


@pytest.fixture
def network(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "net.npz"
    arrays = {"ip1_w": (12, 20), "ip1_b": 12, "ip2_w": (4, 12), "ip2_b": 4}
    np.savez(path, **{name: rng.normal(size=size) for name, size in arrays.items()})
    return path


def compress(*arguments):
    return CliRunner().invoke(main, ["compress", *(str(argument) for argument in arguments)])


def test_what_is_said_of_all_layers_and_of_some(network, tmp_path):
    out = tmp_path / "out.thr"
    options = ("--density", 0.5, "--density", "ip1=0.25", "--code-bits", "@last=3")
    assert compress(network, "-o", out, *options, "--code-bits", 2).exit_code == 0
    layers = thr.read(out).layers
    assert [np.count_nonzero(layer.codes) for layer in layers] == [60, 24]
    assert [layer.code_bits for layer in layers] == [2, 3]


@pytest.mark.parametrize(
    ("densities", "code_bits", "expected"),
    [
        ([], [], (None, None, [])),
        (["0.5", "0.25"], ["3"], (0.25, 3, [])),
        (["a=b=0.5"], [], (None, None, [("a=b", 0.5, None)])),
        (
            ["x=1", "2"],
            ["x=1", "@dense=4"],
            (2, None, [("x", 1, None), ("x", None, 1), ("@dense", None, 4)]),
        ),
    ],
)
def test_parts(densities, code_bits, expected):
    assert overrides(densities, code_bits) == expected


@pytest.mark.parametrize("text", ["", "x", "ip1", "ip1=", "=", "ip1=a", "1.5", "ip1=1.5", "0x10"])
def test_what_is_no_integer(text):
    with pytest.raises(BadInput, match=r"--code-bits is '.*'; it must be INTEGER or LAYER=INTEGER"):
        overrides([], [text])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--density", "ip1=2"), "density is 2; it must be above 0 and at most 1"),
        (("--density", "ip3=0.5"), "rule for layer 'ip3'; the network's layers are ip1, ip2"),
        (("--density", "ip1:0.5"), "--density is 'ip1:0.5'; it must be NUMBER or LAYER=NUMBER"),
        (("--code-bits", "@first=9"), "code bits are 9; they must be from 1 to 8"),
        (("--code-bits", "@one=4"), "'@one' is no place; there are @convolution, @dense, @first,"),
    ],
)
def test_mistakes_are_told_in_a_sentence(network, tmp_path, option, said):
    result = compress(network, "-o", tmp_path / "out.thr", *option)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.thr").exists()
