"""The driver against the simulated engine, on a sound link and on every kind of broken one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random

import numpy as np
import pytest
from endless import endless
from faulty import FAULTS, READ_FAULTS, Faulty, FaultyReads, dropped, flipped

from hw.config import PRESETS
from hw.regmap import PLACE, Window
from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sw.bus import LineError
from sw.driver import Accelerator, DeviceError, NotLoaded, NotRun, RunTimeout, WrongGateware
from sw.errors import BadInput
from sw.image import word_address
from sw.pack import pack
from sw.serial_port import open_serial
from sw.transport import DeviceSilent
from sw.words import image_words

TINY = PRESETS["tiny"]
RECIPE = Recipe(sizes=[30, 20, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, TINY)
OTHER = pack(random_network(RECIPE, 2), TINY)
X = random_inputs(RECIPE, IMAGE.vectors, 1)
EXPECTED = golden.run(NETWORK, X)[-1]
IMAGE_WORDS = sum(len(words) for _, words in image_words(IMAGE))
BAUD = 115_200


def agrees(accelerator):
    np.testing.assert_array_equal(accelerator.run(X), EXPECTED)


def any_word_wrong(device, use, kind, seed):
    """A link to the device with one fault among the words that `use` takes of it."""
    link, faults = (Faulty, FAULTS) if kind == "written" else (FaultyReads, READ_FAULTS)
    sound = link(device)
    use(sound)
    dice = random.Random(f"{kind} {seed}")
    fault = faults[dice.choice(list(faults))](dice)
    return link(device, dice.randrange(sound.words), fault)


def astray_as(address, command):
    """Instead of the word, another goes elsewhere."""
    return lambda first, words, at: [
        (first, words[:at]),
        (address, [command]),
        (first + at + 1, words[at + 1 :]),
    ]


class TestDevice:
    def test_digest_is_the_configuration_s(self, device):
        assert Accelerator(device).config_digest == TINY.digest

    def test_silent(self):
        master, slave = os.openpty()
        try:
            with (
                contextlib.closing(
                    open_serial(os.ttyname(slave), 115_200, timeout=0.2)
                ) as transport,
                pytest.raises(DeviceSilent, match="no answer to a read of register magic"),
            ):
                Accelerator(transport)
        finally:
            os.close(master)
            os.close(slave)


class TestLoad:
    def test_loads_and_runs(self, device):
        accelerator = Accelerator(device)
        assert accelerator.image_id == 0
        accelerator.load(IMAGE)
        assert accelerator.image_id == IMAGE.id
        agrees(accelerator)

    def test_progress_grows_to_1(self, device, monkeypatch):
        monkeypatch.setattr("sw.bus._WORDS_MAX", 7)
        shares = []
        accelerator = Accelerator(device)
        accelerator.load(IMAGE, shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert len(shares) >= IMAGE_WORDS / 7
        agrees(accelerator)

    def test_another_configuration(self, device):
        config = dataclasses.replace(TINY, queue_depth=16)
        image = pack(NETWORK, config)
        accelerator = Accelerator(device)
        for use in (accelerator.load, accelerator.attach):
            with pytest.raises(WrongGateware) as error:
                use(image)
            assert str(error.value) == (
                f"the device was built for configuration {TINY.digest:08x}, the image was packed "
                f"for {config.digest:08x}; pack it for the board's configuration"
            )

    def test_stops_what_runs(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        accelerator.release()
        device.write(PLACE["vectors"], np.array([60_000], np.uint32))
        device.write(PLACE["control"], np.array([1], np.uint32))
        assert device.read(PLACE["status"], 1)[0] & 1
        accelerator.load(IMAGE)
        agrees(accelerator)

    @pytest.mark.parametrize("kind", ["written", "read"])
    @pytest.mark.parametrize("seed", range(24))
    def test_whatever_word_goes_wrong_the_image_is_right(self, device, kind, seed):
        def load(link):
            Accelerator(link).load(IMAGE, whole=True)

        faulty = any_word_wrong(device, load, kind, seed)
        accelerator = Accelerator(faulty)
        accelerator.load(IMAGE, whole=True)
        assert faulty.struck
        Accelerator(device).attach(IMAGE)
        agrees(accelerator)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("place", range(12))
    def test_a_wrong_command_does_no_harm(self, device, fault, place):
        """Those before the image, where another is still there."""
        Accelerator(device).load(OTHER)
        faulty = Faulty(device, place, FAULTS[fault](random.Random(place)))
        accelerator = Accelerator(faulty)
        accelerator.load(IMAGE)
        assert faulty.struck
        assert accelerator.image_id == IMAGE.id
        agrees(accelerator)

    @pytest.mark.parametrize("fault", [None, dropped, flipped])
    def test_a_load_that_is_interrupted_leaves_no_image(self, device, fault):
        """Not even if the command that says so was lost."""
        Accelerator(device).load(OTHER)
        faulty = Faulty(device, 1, fault(random.Random(1))) if fault else device
        accelerator = Accelerator(faulty)

        def interrupt(share):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            accelerator.load(IMAGE, interrupt)
        assert accelerator.image_id == 0
        with pytest.raises(NotLoaded, match="no image is loaded"):
            accelerator.run(X)
        accelerator.load(IMAGE)
        agrees(accelerator)

    def test_nothing_but_the_driver_s_own_writes_reaches_a_memory(self, device):
        """From the first load on, until the device is released."""
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        codebook = word_address(Window.CODEBOOK, offset=1)
        device.write(codebook, np.array([12345], np.uint32))
        agrees(accelerator)
        accelerator.release()
        device.write(codebook, np.array([12345], np.uint32))
        assert not np.array_equal(accelerator.run(X), EXPECTED)

    def test_a_line_on_which_nothing_gets_through(self, device):
        class Hopeless(Faulty):
            def write(self, address, words, *, fixed=False):
                self._device.write(address, words ^ np.uint32(1))

        with pytest.raises(LineError, match="40 exchanges in a row were spoiled: check the cable"):
            Accelerator(Hopeless(device))


class TestAttach:
    def test_to_what_is_there(self, device):
        Accelerator(device).load(IMAGE)
        accelerator = Accelerator(device)
        accelerator.attach(IMAGE)
        agrees(accelerator)

    def test_to_another_image(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        with pytest.raises(NotLoaded) as error:
            accelerator.attach(OTHER)
        assert str(error.value) == (
            f"the device holds image {IMAGE.id:08x}, not {OTHER.id:08x}; load it first"
        )
        with pytest.raises(NotLoaded, match="no image is loaded"):
            accelerator.run(X)

    def test_to_none(self, device):
        with pytest.raises(NotLoaded, match="the device holds no image, not"):
            Accelerator(device).attach(IMAGE)


class TestRun:
    @pytest.fixture
    def accelerator(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        return accelerator

    def test_without_an_image(self, device):
        accelerator = Accelerator(device)
        for use in (lambda: accelerator.run(X), accelerator.counters):
            with pytest.raises(NotLoaded, match=r"no image is loaded; call load\(\) first"):
                use()

    @pytest.mark.parametrize("vectors", [1, 2, IMAGE.vectors + 1, 2 * IMAGE.vectors + 3])
    def test_any_number_of_vectors(self, accelerator, vectors):
        x = random_inputs(RECIPE, vectors, vectors)
        outputs = accelerator.run(x)
        np.testing.assert_array_equal(outputs, golden.run(NETWORK, x)[-1])
        assert outputs.dtype == np.int64

    def test_no_vectors(self, accelerator):
        outputs = accelerator.run(X[:0])
        assert outputs.shape == (0, 10)
        assert outputs.dtype == np.int64
        assert accelerator.cycles == 0

    @pytest.mark.parametrize("dtype", [np.int16, np.int32, ">i2"])
    def test_any_integers(self, accelerator, dtype):
        np.testing.assert_array_equal(accelerator.run(X.astype(dtype)), EXPECTED)

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (X[0], r"inputs are int64 of shape \(30,\); integers of shape \(n, 30\) are needed"),
            (X[:, 1:], r"int64 of shape \(\d+, 29\); integers of shape \(n, 30\)"),
            (X.astype(float), "inputs are float64 of shape"),
            (X[:1] > 0, "inputs are bool of shape"),
            (
                np.full((1, 30), 32768),
                "an input is 32768; the network was proved for -32768 to 32767",
            ),
            (np.full((1, 30), -32769), "an input is -32769; the network"),
            (np.full((1, 30), 1 << 63, np.uint64), f"an input is {1 << 63}; the network"),
        ],
    )
    def test_inputs_that_do_not_suit(self, accelerator, x, message):
        with pytest.raises(BadInput, match=message) as error:
            accelerator.run(x)
        assert not isinstance(error.value, DeviceError)
        agrees(accelerator)

    @pytest.mark.parametrize("kind", ["written", "read"])
    @pytest.mark.parametrize("seed", range(24))
    def test_whatever_word_goes_wrong_the_outputs_are_right(self, accelerator, device, kind, seed):
        def run(link):
            other = Accelerator(link)
            other.attach(IMAGE)
            return other.run(X)

        # What a run before has left behind would be taken for the outputs.
        accelerator.run(X[::-1])
        faulty = any_word_wrong(device, run, kind, seed)
        accelerator.run(X[::-1])
        np.testing.assert_array_equal(run(faulty), EXPECTED)
        assert faulty.struck

    @pytest.mark.parametrize("ran_before", [False, True])
    @pytest.mark.parametrize("target", ["control", "vectors", "image_id", "crc", "codebook"])
    @pytest.mark.parametrize("command", [1, 2, 3])
    def test_a_stray_command_gives_no_wrong_output(self, device, ran_before, target, command):
        """At any time of a run: it may start or abort the engine, or change what it executes."""
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        if ran_before:
            accelerator.run(X[-1:])
        address = PLACE.get(target, word_address(Window.CODEBOOK, offset=1))
        counting = Faulty(device)
        other = Accelerator(counting)
        other.attach(IMAGE)
        other.run(X[:1])
        for place in range(counting.words):
            stray = Faulty(device, place, astray_as(address, command))
            other = Accelerator(stray)
            other.attach(IMAGE)
            np.testing.assert_array_equal(other.run(X[:1]), EXPECTED[:1])
            assert stray.struck

    def test_another_program_that_starts_runs_all_the_time(self, accelerator, device):
        class Disturbed(Faulty):
            def __init__(self, device):
                super().__init__(device)
                self.poll = self.start_when_over

            def start_when_over(self, address, mask, value, timeout):
                over = self._device.poll(address, mask, value, timeout)
                self._device.write(PLACE["control"], np.array([1], np.uint32))
                self._device.idle(5000)
                return over

        other = Accelerator(Disturbed(device))
        other.attach(IMAGE)
        with pytest.raises(DeviceError, match="disturbed in each of 20 runs: does another program"):
            other.run(X)

    def test_a_device_that_lost_its_image_meanwhile(self, accelerator, device):
        device.reset()
        with pytest.raises(NotLoaded, match="the device holds no image, not"):
            accelerator.run(X)

    @pytest.mark.parametrize("layer", [0, 1])
    def test_a_device_that_never_finishes(self, device, layer):
        accelerator = Accelerator(device)
        accelerator.load(endless(IMAGE, layer))
        with pytest.raises(RunTimeout) as error:
            accelerator.run(X, timeout=0.2)
        assert str(error.value) == (
            f"the device did not finish a run of {len(X)} vectors within 0.2 s; it was executing "
            f"layer {layer} of 0 to 1"
        )
        assert not device.read(PLACE["status"], 1)[0] & 1
        accelerator.load(IMAGE)
        agrees(accelerator)


class TestCounters:
    def test_cycles_are_those_of_the_last_run(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        assert accelerator.cycles == 0
        accelerator.run(X)
        together = accelerator.cycles
        assert together == device.read(PLACE["cycles"], 1)[0]
        accelerator.run(X[:1])
        assert 0 < accelerator.cycles < together

    def test_of_a_run_that_another_program_made(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        accelerator.run(X)
        other = Accelerator(device)
        other.attach(IMAGE)
        other.run(X[:1])
        with pytest.raises(NotRun, match="the device has run again since the run whose counters"):
            accelerator.counters()

    def test_all_slots_are_accounted_for(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        accelerator.run(X)
        counted = accelerator.counters()
        assert len(counted) == 2
        for counts in counted:
            used = counts.busy + counts.stalled + counts.starved
            assert used == counts.cycles * TINY.elements
            assert counts.starved > 0
        assert sum(counts.cycles for counts in counted) < accelerator.cycles
