"""`thresher load` and `thresher run`: on a simulated engine behind a pseudo-terminal, and none."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from devices import board_with
from faulty import Faulty, flipped

from hw.boards import find
from hw.config import PRESETS
from hw.regmap import PLACE, Window
from sim import golden
from sim.engine import open_engine
from sim.random_network import Recipe, random_inputs, random_network
from sw import format as thr
from sw import networks
from sw.cli import main
from sw.driver import Accelerator
from sw.image import word_address
from sw.pack import pack
from sw.words import image_words

ARTY = PRESETS["arty_a7_35t"]
RECIPE = Recipe(sizes=[40, 30, 10], density=0.2)
NETWORK = random_network(RECIPE, 7)
IMAGE = pack(NETWORK, ARTY)
COUNT = IMAGE.vectors + 3
X = random_inputs(RECIPE, COUNT, 7)


@pytest.fixture(scope="module")
def engine():
    with open_engine(ARTY) as transport:
        yield transport


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "network.thr"
    thr.write_file(path, thr.to_bytes(NETWORK))
    return path


@pytest.fixture
def inputs(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, X * 2.0**-NETWORK.input.fraction)
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def record_of(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


def test_load_and_run(port, model, inputs, tmp_path):
    loaded = record_of(run("load", model, "--port", port, "--json"))
    assert loaded["image_id"] == f"{IMAGE.id:08x}"
    assert loaded["config_digest"] == f"{ARTY.digest:08x}"
    assert loaded["boards"] == ["arty_a7_35t", "cmod_a7_35t"]  # which have the same engine
    assert loaded["port"] == port
    assert loaded["words"] == sum(len(words) for _, words in image_words(IMAGE))

    y = tmp_path / "y.npy"
    record = record_of(
        run("run", model, "--port", port, "--inputs", inputs, "--outputs", y, "--json")
    )
    assert record["loaded"] is False
    assert record["vectors"] == COUNT
    assert record["agrees_with_golden"] is True
    assert record["accuracy"] is None
    clock = find("arty").clock_hz
    assert record["microseconds_per_vector"] == pytest.approx(
        record["cycles_per_vector"] / clock * 1e6
    )
    expected = golden.dequantise(NETWORK, golden.run(NETWORK, X)[-1])
    np.testing.assert_array_equal(np.load(y), expected)


def test_info(port, model, tmp_path):
    fresh = record_of(run("info", "--port", port, "--json"))
    assert fresh["boards"] == ["arty_a7_35t", "cmod_a7_35t"]
    assert (fresh["lanes"], fresh["groups"]) == (ARTY.lanes, ARTY.groups)
    assert fresh["image_id"] == "00000000"
    record_of(run("load", model, "--port", port, "--json"))
    shown = run("info", "--port", port)
    assert f"{IMAGE.id:08x}" in shown.stdout
    assert "not that of ulx3s_85f" in refused("info", "--port", port, "--board", "ulx3s")
    config = dataclasses.replace(ARTY, queue_depth=7)
    summary = {"board": "arty_a7_35t", "config": dataclasses.asdict(config)}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert refused("info", "--port", port, "--build", tmp_path) == (
        "thresher info: the device has the engine of arty_a7_35t or cmod_a7_35t, not that of the "
        f"build in {tmp_path}, {config.digest:08x}; leave --build out, or program that build"
    )


def test_selftest(port):
    record = record_of(run("selftest", "--port", port, "--json"))
    assert [check["failure"] for check in record["checks"]] == [None] * len(record["checks"])
    assert len(record["checks"]) == 5
    assert record["exchanges_repeated"] == 0
    # The last of its networks is none that anybody would run.
    assert record_of(run("info", "--port", port, "--json"))["image_id"] == "00000000"


def test_a_selftest_that_is_ended_leaves_no_image(port, model):
    record_of(run("load", model, "--port", port, "--json"))
    command = [sys.executable, "-m", "sw.cli", "selftest", "--port", port]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = [process.stderr.readline() for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert said[2].startswith("random network 1: ")
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in rest
    assert record_of(run("info", "--port", port, "--json"))["image_id"] == "00000000"


def test_trace_layers(port, engine, model, inputs):
    arguments = ["run", model, "--port", port, "--inputs", inputs, "--trace-layers", "--json"]
    record = record_of(run(*arguments))
    assert record["layers_traced"] == 2
    engine.write(PLACE["write_first"], np.array([0, 2**30 - 1], np.uint32))
    place = word_address(Window.CODEBOOK, offset=1)
    engine.write(place, np.array([-NETWORK.layers[0].codebook[1] & 0xFFFF], np.uint32))
    engine.write(PLACE["write_first"], np.array([2**30 - 1, 0], np.uint32))
    result = run(*arguments)
    assert result.exit_code == 1
    assert "layer 0 (layer0) differs from the golden model in" in result.stderr


def test_batch(port, model, inputs):
    arguments = ["--port", port, "--inputs", inputs, "--json"]
    alone = record_of(run("run", model, *arguments, "--batch", 1))
    together = record_of(run("run", model, *arguments))
    simulated = record_of(run("sim", model, "--inputs", inputs, "--json"))
    assert alone["cycles_per_vector"] == simulated["cycles_per_vector"]["mean"]
    assert together["cycles_per_vector"] < alone["cycles_per_vector"]
    assert (alone["batch"], together["batch"]) == (1, IMAGE.vectors)
    assert alone["last_run"]["vectors"] == 1
    assert together["last_run"]["vectors"] == COUNT % IMAGE.vectors or IMAGE.vectors


def test_layers_count_as_in_simulation(port, model, inputs):
    """Of one vector alone, whose counters `thresher sim` adds up, too."""
    one = inputs.with_name("one.npy")
    np.save(one, np.load(inputs)[:1])
    record = record_of(run("run", model, "--port", port, "--inputs", one, "--json"))
    with open_engine(ARTY) as transport, Accelerator(transport) as accelerator:
        accelerator.load(IMAGE)
        accelerator.run(X[:1])
        counters = [dataclasses.asdict(counts) for counts in accelerator.counters()]
    assert counters == [
        {name: layer[name] for name in layer if name != "layer"}
        for layer in record["last_run"]["layers"]
    ]
    assert [layer["layer"] for layer in record["last_run"]["layers"]] == ["layer0", "layer1"]
    said = run("run", model, "--port", port, "--inputs", one)
    assert "the last run: 1 vector" in said.stdout
    assert "1 in a run: each alone" in said.stdout
    assert "running 1 vector " in said.stderr
    (row,) = (line for line in said.stdout.splitlines() if line.startswith("│ layer0 "))
    feeders, elements = (counters[0]["cycles"] * n for n in (ARTY.groups, ARTY.elements))
    assert [cell.strip() for cell in row.strip("│").split("│")][1:] == [
        f"{counters[0]['cycles']:,}",
        f"{counters[0]['activations']:,}",
        *(f"{counters[0][name] / elements:.1%}" for name in ("busy", "stalled", "starved")),
        f"{counters[0]['blocked'] / feeders:.1%}",
    ]


def test_fewer_vectors_than_a_batch(port, model, inputs):
    few = IMAGE.vectors - 1
    some = inputs.with_name("some.npy")
    np.save(some, np.load(inputs)[:few])
    shown = run("run", model, "--port", port, "--inputs", some).stdout
    assert f", {few} in a run: they overlap" in shown
    assert f"the last run: {few} vectors that overlap" in shown


def test_the_help_names_every_key_of_the_record(port, model, inputs):
    record = record_of(run("run", model, "--port", port, "--inputs", inputs, "--json"))
    keys = {*record, *record["last_run"], *record["last_run"]["layers"][0]}
    text = run("run", "--help").stdout
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_run_loads_what_is_not_there(port, model, inputs):
    first = run("run", model, "--port", port, "--inputs", inputs)
    assert first.exit_code == 0, first.stderr
    assert "loaded now" in first.stdout
    assert "to the bit" in first.stdout
    again = run("run", model, "--port", port, "--inputs", inputs)
    assert "held already" in again.stdout
    assert "loading" in first.stderr
    assert "loading" not in again.stderr


def test_run_on_images_of_digits(port, tmp_path):
    network = random_network(Recipe(sizes=[784, 10], density=0.05), 1)
    model = tmp_path / "digits.thr"
    thr.write_file(model, thr.to_bytes(network))
    arguments = ["--dataset", "mnist", "--count", 20]
    record = record_of(run("run", model, "--port", port, *arguments, "--json"))
    simulated = record_of(run("sim", model, "--target", "golden", *arguments, "--json"))
    assert record["accuracy"] == simulated["accuracy"]
    assert record["vectors"] == 20


def test_convolutions_run_on_a_board(port):
    arguments = ["--dataset", "mnist", "--count", 5, "--json"]
    record = record_of(run("run", networks.LENET5, "--port", port, *arguments))
    assert record["loaded"] is True
    assert record["agrees_with_golden"] is True
    assert record["accuracy"] == 1.0
    assert record["cycles_per_vector"] > 1000


def test_an_output_that_differs_is_exit_status_1(port, engine, model, inputs):
    """A board that holds other contents under the image's name."""
    record_of(run("load", model, "--port", port, "--json"))
    place = word_address(Window.CODEBOOK, offset=1)
    engine.write(PLACE["write_first"], np.array([0, 2**30 - 1], np.uint32))
    engine.write(place, np.array([-NETWORK.layers[0].codebook[1] & 0xFFFF], np.uint32))
    engine.write(PLACE["write_first"], np.array([2**30 - 1, 0], np.uint32))
    result = run("run", model, "--port", port, "--inputs", inputs, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["agrees_with_golden"] is False
    assert "differs from the golden model: " in result.stderr


def test_a_bad_cable(engine, model, inputs):
    """What it spoils is written again."""
    engine.reset()
    faulty = Faulty(engine, 100, flipped(random.Random(1)))
    with board_with(faulty) as port:
        loaded = run("load", model, "--port", port, "--json")
        assert record_of(loaded)["exchanges_repeated"] == 1
        assert "bad line, 1 repeat\n" in loaded.stderr
        assert faulty.struck
        record = record_of(run("run", model, "--port", port, "--inputs", inputs, "--json"))
        assert record["agrees_with_golden"] is True


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("", "the name of the port is empty; auto finds the board by itself"),
        ("/tmp", "/tmp: this is a folder, no serial port; serial ports here: "),
        (__file__, f"{__file__}: this is no serial port; "),
        ("/dev/null", "/dev/null: this is no serial port; "),
        (
            "bogus://x",
            "bogus://x: this URL cannot be opened, as socket://HOST:PORT can (invalid URL, ",
        ),
        (
            "socket://x",
            "socket://x: this URL cannot be opened, as socket://HOST:PORT can (it names no port); ",
        ),
        (
            "socket://127.0.0.1:99999",
            "socket://127.0.0.1:99999: this URL cannot be opened, as socket://HOST:PORT can (its "
            "host cannot be read, or its port is no number from 0 to 65535); ",
        ),
        (
            "socket://127.0.0.1:80?fast=1",
            "socket://127.0.0.1:80?fast=1: this URL cannot be opened, as socket://HOST:PORT can "
            "(its options are not pyserial's); ",
        ),
        (
            "hwgrep://(",
            "hwgrep://(: this URL cannot be opened, as socket://HOST:PORT can (",
        ),
        (
            "loop://?fast=1",
            "loop://?fast=1: this URL cannot be opened, as socket://HOST:PORT can (its options are "
            "not pyserial's); ",
        ),
        ("socket://127.0.0.1:1", "socket://127.0.0.1:1: nothing listens at this address; "),
    ],
)
def test_what_is_no_port(port, message):
    assert refused("info", "--port", port).startswith(f"thresher info: {message}")


@pytest.mark.parametrize("verb", ["load", "run"])
class TestRefusals:
    def arguments(self, verb, inputs):
        return ["--inputs", inputs] if verb == "run" else []

    def test_missing_port(self, verb, model, inputs):
        sentence = refused(verb, model, "--port", "/dev/ttyNONE7", *self.arguments(verb, inputs))
        assert sentence.startswith(f"thresher {verb}: /dev/ttyNONE7: there is no such port; ")

    def test_silent_device(self, verb, model, inputs):
        master, slave = os.openpty()
        try:
            port = os.ttyname(slave)
            sentence = refused(verb, model, "--port", port, *self.arguments(verb, inputs))
        finally:
            os.close(master)
            os.close(slave)
        # The baud rate is the board's own.
        assert sentence == (
            f"thresher {verb}: {port}: no answer to a read of register magic within 1 s; is the "
            f"board programmed and is {find('arty').baud} its baud rate?"
        )

    def test_another_board(self, verb, port, model, inputs):
        other = ["--board", "ulx3s", *self.arguments(verb, inputs)]
        sentence = refused(verb, model, "--port", port, *other)
        assert sentence == (
            f"thresher {verb}: the device has the engine of arty_a7_35t or cmod_a7_35t, not that "
            "of ulx3s_85f; leave --board out, or build for that board"
        )

    @pytest.mark.parametrize("baud", [0, 1200])
    def test_impossible_baud_rate(self, verb, model, inputs, baud):
        arguments = ["--port", "/dev/null", "--baud", baud, *self.arguments(verb, inputs)]
        assert f"baud rate {baud} is too low" in refused(verb, model, *arguments)

    def test_unknown_board(self, verb, model, inputs):
        arguments = ["--port", "/dev/null", "--board", "artie", *self.arguments(verb, inputs)]
        assert "did you mean arty?" in refused(verb, model, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the inputs: either --inputs X.npy or --dataset NAME"),
        (
            ["--inputs", "x.npy", "--dataset", "mnist"],
            "--inputs x.npy and --dataset mnist contradict each other",
        ),
        (["--inputs", "x.npy", "--count", 3], "--inputs x.npy and --count 3 contradict each other"),
        (["--inputs", "x.npy", "--data", "d"], "--inputs x.npy and --data d contradict each other"),
        (["--dataset", "mnist", "--count", 3], "takes 40 inputs, an image of mnist has 784 pixels"),
    ],
)
def test_run_without_a_choice_of_inputs(model, arguments, message):
    assert message in refused("run", model, "--port", "/dev/null", *arguments)
