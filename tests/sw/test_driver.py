"""The driver against the simulated engine, on a sound link and on every kind of broken one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random

import numpy as np
import pytest
from endless import endless
from faulty import FAULTS, Faulty, dropped, flipped, to_place

from hw.config import PRESETS
from hw.regmap import REGISTERS, Window
from sim import golden
from sim.engine import open_engine
from sim.random_network import Recipe, random_inputs, random_network
from sw.driver import Accelerator, DeviceError
from sw.errors import BadInput
from sw.image import word_address
from sw.pack import pack
from sw.transport import DeviceSilent, open_serial
from sw.words import image_words

TINY = PRESETS["tiny"]
RECIPE = Recipe(sizes=[30, 20, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, TINY)
OTHER = pack(random_network(RECIPE, 2), TINY)
X = random_inputs(RECIPE, IMAGE.vectors, 1)
EXPECTED = golden.run(NETWORK, X)[-1]
IMAGE_WORDS = sum(len(words) for _, words in image_words(IMAGE))
ADDRESS = {register.name: place for place, register in enumerate(REGISTERS)}


@pytest.fixture(scope="module")
def engine():
    with open_engine(TINY) as transport:
        yield transport


@pytest.fixture
def device(engine):
    """The engine as after power-up."""
    engine.reset()
    return engine


def agrees(accelerator):
    np.testing.assert_array_equal(accelerator.run(X), EXPECTED)


class TestDevice:
    def test_digest_is_the_configuration_s(self, device):
        assert Accelerator(device).config_digest == TINY.digest

    def test_silent(self):
        master, slave = os.openpty()
        try:
            with (
                contextlib.closing(open_serial(os.ttyname(slave), timeout=0.2)) as transport,
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
        monkeypatch.setattr("sw.driver._BURST", 7)
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
            with pytest.raises(DeviceError) as error:
                use(image)
            assert str(error.value) == (
                f"the device was built for configuration {TINY.digest:08x}, the image was packed "
                f"for {config.digest:08x}; pack it for the board's configuration"
            )

    def test_stops_what_runs(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        accelerator._set("vectors", 60_000)
        accelerator._set("control", 1)
        assert accelerator._get("status") & 1
        accelerator.load(IMAGE)
        agrees(accelerator)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("seed", range(12))
    def test_a_wrong_word_of_the_image_is_refused(self, device, fault, seed):
        dice = random.Random(f"{fault} {seed}")
        before = 3  # words that are written before the image: checksum, reset and image_id
        faulty = Faulty(device, before + dice.randrange(IMAGE_WORDS), FAULTS[fault](dice))
        accelerator = Accelerator(faulty)
        with pytest.raises(DeviceError) as error:
            accelerator.load(IMAGE)
        assert faulty.struck
        assert str(error.value).startswith("the image did not arrive whole: the device's checksum ")
        assert str(error.value).endswith("and the baud rate, then load the image again")
        assert accelerator.image_id == 0
        with pytest.raises(DeviceError, match="no image is loaded"):
            accelerator.run(X)
        accelerator.load(IMAGE)
        agrees(accelerator)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("place", [0, 1, 2, 3 + IMAGE_WORDS])
    @pytest.mark.parametrize("seed", range(3))
    def test_a_wrong_command_is_refused_or_does_no_harm(self, device, fault, place, seed):
        sound = Accelerator(device)
        sound.load(OTHER)
        faulty = Faulty(device, place, FAULTS[fault](random.Random(seed)))
        accelerator = Accelerator(faulty)
        try:
            accelerator.load(IMAGE)
        except DeviceError:
            assert accelerator.image_id == 0
            accelerator.load(IMAGE)
        assert faulty.struck
        agrees(accelerator)

    @pytest.mark.parametrize("fault", [None, dropped, flipped])
    def test_a_load_that_is_interrupted_leaves_no_image(self, device, fault):
        """Not even if the command that says so was lost."""
        Accelerator(device).load(OTHER)
        faulty = Faulty(device, 2, fault(random.Random(1))) if fault else device
        accelerator = Accelerator(faulty)

        def interrupt(share):
            raise KeyboardInterrupt

        with pytest.raises((KeyboardInterrupt, DeviceError)):
            accelerator.load(IMAGE, interrupt)
        assert accelerator.image_id == 0
        with pytest.raises(DeviceError, match="no image is loaded"):
            accelerator.run(X)


class TestAttach:
    def test_to_what_is_there(self, device):
        Accelerator(device).load(IMAGE)
        accelerator = Accelerator(device)
        accelerator.attach(IMAGE)
        agrees(accelerator)

    def test_to_another_image(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        with pytest.raises(DeviceError) as error:
            accelerator.attach(OTHER)
        assert str(error.value) == (
            f"the device holds image {IMAGE.id:08x}, not {OTHER.id:08x}; load it first"
        )
        with pytest.raises(DeviceError, match="no image is loaded"):
            accelerator.run(X)

    def test_to_none(self, device):
        with pytest.raises(DeviceError, match="the device holds no image, not"):
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
            with pytest.raises(DeviceError, match=r"no image is loaded; call load\(\) first"):
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

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("seed", range(12))
    def test_a_wrong_word_of_the_inputs_is_refused(self, accelerator, device, fault, seed):
        dice = random.Random(f"{fault} {seed}")
        accelerator.run(X)
        place = 3 + dice.randrange(IMAGE.vectors * IMAGE.input.words * 2)
        faulty = Faulty(device, place, FAULTS[fault](dice))
        refused = Accelerator(faulty)
        refused.attach(IMAGE)
        with pytest.raises(DeviceError, match="the inputs did not arrive whole: the device's chec"):
            refused.run(X)
        assert faulty.struck
        assert accelerator.image_id == 0  # the word may have spoiled the image
        with pytest.raises(DeviceError, match="no image is loaded"):
            refused.run(X)
        accelerator.load(IMAGE)
        agrees(accelerator)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("place", [0, 1, 2, 3 + IMAGE.vectors * IMAGE.input.words * 2])
    @pytest.mark.parametrize("seed", range(6))
    def test_a_wrong_command_gives_no_wrong_output(self, accelerator, device, fault, place, seed):
        # What a run before has left behind would be taken for the outputs.
        accelerator.run(X[::-1])
        faulty = Faulty(device, place, FAULTS[fault](random.Random(f"{fault} {place} {seed}")))
        other = Accelerator(faulty)
        other.attach(IMAGE)
        try:
            agrees(other)
        except DeviceError:
            assert accelerator.image_id == 0
            other.load(IMAGE)
        assert faulty.struck
        agrees(other)

    @pytest.mark.parametrize("ran_before", [False, True])
    @pytest.mark.parametrize("place", [0, 1, 2, 3 + IMAGE.input.words * 2])
    @pytest.mark.parametrize("target", ["control", "vectors", "image_id", "load_crc", "codebook"])
    def test_a_stray_command_gives_no_wrong_output(self, device, ran_before, place, target):
        """It may start or abort the engine, or change what it executes."""
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        if ran_before:
            accelerator.run(X[-1:])
        address = ADDRESS.get(target, word_address(Window.CODEBOOK, offset=1))
        faulty = Faulty(device, place, to_place(address))
        other = Accelerator(faulty)
        other.attach(IMAGE)
        try:
            np.testing.assert_array_equal(other.run(X[:1]), EXPECTED[:1])
        except DeviceError:
            pass
        else:
            assert target != "codebook"
        assert faulty.struck

    def test_a_device_that_lost_its_image_meanwhile(self, accelerator, device):
        device.reset()
        with pytest.raises(DeviceError, match="the device's register image_id is 00000000, it"):
            accelerator.run(X)

    @pytest.mark.parametrize("layer", [0, 1])
    def test_a_device_that_never_finishes(self, device, layer):
        accelerator = Accelerator(device)
        accelerator.load(endless(IMAGE, layer))
        with pytest.raises(DeviceError) as error:
            accelerator.run(X, timeout=0.2)
        assert str(error.value) == (
            f"the device did not finish a run of {len(X)} vectors within 0.2 s; it was executing "
            f"layer {layer} of 0 to 1"
        )
        assert accelerator._get("status") == 0
        accelerator.load(IMAGE)
        agrees(accelerator)


class TestCounters:
    def test_cycles_are_those_of_the_last_run(self, device):
        accelerator = Accelerator(device)
        accelerator.load(IMAGE)
        assert accelerator.cycles == 0
        accelerator.run(X)
        together = accelerator.cycles
        assert together == accelerator._get("cycles")
        accelerator.run(X[:1])
        assert 0 < accelerator.cycles < together

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
