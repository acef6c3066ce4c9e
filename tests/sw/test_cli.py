"""The command line: verbs, exit statuses, one sentence for a mistake, JSON alone on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from hw.config import ConfigError
from sw import cli
from sw import format as thr
from sw.cli import main
from sw.cli.output import emit
from sw.errors import BadInput

WEIGHTS = np.random.default_rng(1)


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.npz"
    np.savez(
        path,
        ip1_w=WEIGHTS.normal(size=(12, 20)),
        ip1_b=WEIGHTS.normal(size=12),
        ip2_w=WEIGHTS.normal(size=(4, 12)),
        ip2_b=WEIGHTS.normal(size=4),
    )
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments) -> str:
    """The sentence with which a verb refuses its input."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_help_lists_every_verb_without_importing_it():
    code = (
        "import sys; from sw.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "bad = {'numpy', 'amaranth', 'rich', 'sw.format', 'hw.build'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for verb in ("compress", "fit", "sim", "build", "bench"):
        assert f"\n  {verb} " in result.stdout


def test_module_and_version():
    for arguments in (["--help"], ["--version"]):
        command = [sys.executable, "-m", "sw.cli", *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0
        assert "thresher" in result.stdout
        assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such"], "thresher: No such command 'no-such' (see thresher --help)"),
        (["--no-such"], "thresher: No such option '--no-such' (see thresher --help)"),
        (["bench", "--no"], "thresher bench: No such option '--no' (see thresher bench --help)"),
        (["sim"], "thresher sim: Missing argument 'MODEL.thr' (see thresher sim --help)"),
        (
            ["bench", "eie", "--lanes", "x"],
            "thresher bench eie: Invalid value for '--lanes': 'x' is not a valid integer "
            "(see thresher bench eie --help)",
        ),
        (
            ["build", "--export"],
            "thresher build: Option '--export' requires an argument (see thresher build --help)",
        ),
        (["bench", "eie", "--layers", "Q"], "thresher bench eie: --layers has 'Q'; EIE's layers"),
    ],
)
def test_usage_errors(arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_verb_whose_package_is_not_installed(monkeypatch):
    monkeypatch.setitem(cli._VERBS, "later", ("sw.cli.no_such_module:later", "Later."))
    result = run("later")
    assert result.exit_code == 2
    assert "'later' is not available: Python module 'sw.cli.no_such_module'" in result.stderr


@pytest.mark.parametrize("error", [BadInput("a\nb"), ConfigError("a b")])
def test_mistakes_become_one_line(monkeypatch, error):
    @click.command()
    def broken():
        raise error

    monkeypatch.setattr("sw.cli.output.broken", broken, raising=False)
    monkeypatch.setitem(cli._VERBS, "broken", ("sw.cli.output:broken", "Broken."))
    assert refused("broken") == "thresher broken: a b\n"


def test_an_interrupt_gives_130(tmp_path):
    (tmp_path / "waiting.py").write_text(
        "import click, time\n"
        "@click.command()\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    code = "from sw import cli; cli._VERBS['wait'] = ('waiting:wait', 'Wait.'); cli.main(['wait'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_compress(network, tmp_path):
    output = tmp_path / "out.thr"
    x = tmp_path / "x.npy"
    np.save(x, np.random.default_rng(2).integers(0, 256, (50, 20)) / 256)
    result = run("compress", network, "-o", output, "--density", 0.25, "--calibrate", x)
    assert result.exit_code == 0
    assert result.stderr == ""
    compressed = thr.read(output)
    assert np.count_nonzero(compressed.layers[0].codes) == 60
    assert compressed.input.fraction == 8
    assert "12 × 20" in result.stdout
    assert f"{output.stat().st_size:,} bytes" in result.stdout.replace("\n", " ")


def test_compress_as_json(network, tmp_path):
    output = tmp_path / "out.thr"
    result = run("compress", network, "-o", output, "--code-bits", 3, "--json")
    assert result.exit_code == 0
    assert "note: no --calibrate" in result.stderr
    record = json.loads(result.stdout)
    compressed = thr.read(output)
    assert record["bytes"] == output.stat().st_size
    assert record["parameters"] == 20 * 12 + 12 + 12 * 4 + 4
    assert record["ratio"] == pytest.approx(4 * record["parameters"] / record["bytes"])
    assert record["calibrated"] is False
    assert record["input"] == {"fraction": 8, "low": 0, "high": 256}
    assert [layer["name"] for layer in record["layers"]] == ["ip1", "ip2"]
    assert [layer["code_bits"] for layer in record["layers"]] == [3, 3]
    assert 20 < record["bytes"] - sum(layer["bytes"] for layer in record["layers"]) < 30
    fractions = [layer["activation_fraction"] for layer in record["layers"]]
    assert fractions == list(compressed.fractions[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--density", "0"], "density is 0; it must be above 0 and at most 1"),
        (["--density", "1.5"], "density is 1.5"),
        (["--density", "nan"], "density is nan"),
        (["--code-bits", "0"], "code bits are 0; they must be from 1 to 8"),
        (["--code-bits", "9"], "code bits are 9"),
        (["--calibrate", "none.npy"], "none.npy cannot be read: No such file"),
        (["--calibrate", "nan.npy"], "nan.npy holds nan at [1, 2]"),
        (["--calibrate", "narrow.npy"], "narrow.npy has shape (5, 19); this network takes"),
        (["--calibrate", "network.npz"], "network.npz is an archive of arrays (.npz)"),
    ],
)
def test_compress_refuses_and_keeps_the_old_output(
    network, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    bad = np.zeros((5, 20))
    bad[1, 2] = np.nan
    np.save("nan.npy", bad)
    np.save("narrow.npy", np.zeros((5, 19)))
    (tmp_path / "out.thr").write_bytes(b"old")
    before = set(tmp_path.iterdir())
    sentence = refused("compress", network, "-o", "out.thr", *arguments)
    assert sentence.startswith("thresher compress: ")
    assert message in sentence
    assert (tmp_path / "out.thr").read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("output", ["none/out.thr", "."])
def test_compress_to_where_it_cannot_write(network, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(2).random((50, 20))
    np.save("x.npy", x)
    sentence = refused("compress", network, "-o", output, "--calibrate", "x.npy")
    assert f"{output} cannot be written" in sentence


def test_compress_a_network_that_is_none(tmp_path):
    path = tmp_path / "network.npz"
    path.write_bytes(b"hello")
    sentence = refused("compress", path, "-o", tmp_path / "out.thr")
    assert (
        sentence == f"thresher compress: {path} is not a sound .npz file: File is not a zip file\n"
    )


def test_names_are_not_taken_for_markup(tmp_path):
    path = tmp_path / "network.npz"
    np.savez(path, **{"[red]:tada:_w": np.ones((2, 3)), "[red]:tada:_b": np.ones(2)})
    result = run("compress", path, "-o", tmp_path / "out.thr")
    assert "[red]:tada:" in result.stdout


def test_emit_takes_numpy_and_paths_and_no_nan(tmp_path, capsys):
    emit({"a": np.int64(3), "b": np.arange(2), "c": tmp_path}, "", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": 3, "b": [0, 1], "c": str(tmp_path)}
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit({"a": float("nan")}, "", as_json=True)
    with pytest.raises(TypeError, match="set has no JSON form"):
        emit({"a": {1}}, "", as_json=True)
