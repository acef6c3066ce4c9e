"""What the driver does with networks: predictions, differences, traces; in threads and tasks."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import threading
import tty

import numpy as np
import pytest
from faulty import FAULTS, Faulty
from serial.tools import list_ports
from test_cli_device import board_with

from hw.config import PRESETS
from hw.layouts import BUS_ADDRESS_BITS
from hw.regmap import Window
from sim import golden
from sim.engine import open_engine
from sim.random_graph import Limits, random_graph, random_planes
from sim.random_network import Recipe, random_inputs, random_network
from sw import format as thr
from sw import ports
from sw.async_driver import AsyncAccelerator
from sw.asynchronous import Threaded
from sw.bus import PLACE, VerifiedBus
from sw.driver import Accelerator, DeviceError
from sw.errors import BadInput
from sw.image import word_address
from sw.pack import pack
from sw.trace import prefix
from sw.transport import PortError
from sw.words import differing_words, image_words

TINY = PRESETS["tiny"]
RECIPE = Recipe(sizes=[30, 20, 15, 10], density=0.3)
NETWORK = random_network(RECIPE, 1)
IMAGE = pack(NETWORK, TINY)
INPUTS = random_inputs(RECIPE, 2 * IMAGE.vectors + 3, 1)
X = INPUTS * 2.0**-NETWORK.input.fraction
LAYERS = golden.run(NETWORK, INPUTS)
EXPECTED = golden.dequantise(NETWORK, LAYERS[-1])
WHOLE = sum(len(words) for _, words in image_words(IMAGE))


def with_another_weight(network):
    """The network with another value in the codebook of its second layer."""
    codebook = network.layers[1].codebook.copy()
    codebook[1] = -codebook[1]
    layers = list(network.layers)
    layers[1] = dataclasses.replace(layers[1], codebook=codebook)
    return dataclasses.replace(network, layers=tuple(layers))


OTHER = with_another_weight(NETWORK)
PLACE_OF_IT = 1 + len(NETWORK.layers[0].codebook)  # in the memory


def other_image():
    """Of `OTHER`, laid out as `NETWORK` is: the packer might lay it out otherwise."""
    (codebook,) = IMAGE.contents[Window.CODEBOOK]
    codebook = codebook.copy()
    codebook[PLACE_OF_IT] = int(OTHER.layers[1].codebook[1]) & 0xFFFF
    return dataclasses.replace(IMAGE, contents={**IMAGE.contents, Window.CODEBOOK: (codebook,)})


def in_both(network):
    """The network with another value in the codebooks of its first and its last layer."""
    layers = list(network.layers)
    for number in (0, -1):
        codebook = layers[number].codebook.copy()
        codebook[1] = -codebook[1]
        layers[number] = dataclasses.replace(layers[number], codebook=codebook)
    return dataclasses.replace(network, layers=tuple(layers))


OTHER_LAYERS = in_both(NETWORK)


def far_apart():
    """Of `OTHER_LAYERS`, laid out as `NETWORK` is: what differs has other words between."""
    (codebook,) = IMAGE.contents[Window.CODEBOOK]
    codebook = codebook.copy()
    values = len(NETWORK.layers[0].codebook)
    codebook[1] = int(OTHER_LAYERS.layers[0].codebook[1]) & 0xFFFF
    codebook[2 * values + 1] = int(OTHER_LAYERS.layers[-1].codebook[1]) & 0xFFFF
    return dataclasses.replace(IMAGE, contents={**IMAGE.contents, Window.CODEBOOK: (codebook,)})


@pytest.fixture(scope="module")
def engine():
    with open_engine(TINY) as transport:
        yield transport


@pytest.fixture
def device(engine):
    """The engine as after power-up."""
    engine.reset()
    return engine


@pytest.fixture
def accelerator(device):
    accelerator = Accelerator(device)
    accelerator.load(NETWORK)
    return accelerator


def damage(device, place, word):
    """Write into a memory of a device whose driver does not know it."""
    device.write(PLACE["write_first"], np.array([0, (1 << BUS_ADDRESS_BITS) - 1], np.uint32))
    device.write(place, np.array([word], np.uint32))
    device.write(PLACE["write_first"], np.array([(1 << BUS_ADDRESS_BITS) - 1, 0], np.uint32))


def damage_second_layer(device):
    """So that it computes what `OTHER` does."""
    place = word_address(Window.CODEBOOK, offset=PLACE_OF_IT)
    damage(device, place, int(OTHER.layers[1].codebook[1]) & 0xFFFF)


class TestLoad:
    def test_a_file(self, device, tmp_path):
        path = tmp_path / "net.thr"
        thr.write_file(path, thr.to_bytes(NETWORK))
        for model in (path, str(path)):
            accelerator = Accelerator(device)
            accelerator.load(model, whole=True)
            np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_all_of_it_once(self, device):
        accelerator = Accelerator(device)
        assert accelerator.load(NETWORK) == WHOLE
        assert accelerator.load(NETWORK) == 0
        assert Accelerator(device).load(NETWORK) == 0
        assert accelerator.load(NETWORK, whole=True) == WHOLE

    def test_what_differs(self, accelerator):
        assert accelerator.load(other_image()) == 1
        outputs = golden.run(OTHER, INPUTS)[-1]
        np.testing.assert_array_equal(accelerator.run(INPUTS), outputs)
        assert (outputs != LAYERS[-1]).any()
        assert accelerator.load(NETWORK) == 1
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    @pytest.mark.parametrize("seed", range(5))
    def test_any_network_after_any_other(self, accelerator, seed):
        """Smaller and larger ones; only words that differ, with those between."""
        dice = np.random.default_rng(seed)
        for _ in range(4):
            sizes = [int(size) for size in dice.integers(3, 40, dice.integers(2, 5))]
            recipe = Recipe(sizes, density=float(dice.uniform(0.05, 0.5)))
            network = random_network(recipe, int(dice.integers(100)))
            accelerator.load(network)
            x = random_inputs(recipe, 3, seed)
            np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])

    def test_all_of_it_where_others_may_have_written(self, accelerator):
        accelerator.release()
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_where_another_program_has_loaded(self, accelerator, device):
        Accelerator(device).load(OTHER)
        assert accelerator.load(random_network(RECIPE, 2)) > WHOLE / 2
        Accelerator(device).load(OTHER)
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_after_one_that_failed(self, accelerator):
        def stop(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            accelerator.load(random_network(RECIPE, 2), stop)
        assert accelerator.image_id == 0
        assert accelerator.load(NETWORK) == WHOLE

    def test_all_of_it_where_it_was_not_guarded(self, device):
        """Another program may have written into memories, which cannot be read back."""
        Accelerator(device).load(NETWORK)
        Accelerator(device).close()
        assert Accelerator(device).load(NETWORK) == 0
        released = Accelerator(device)
        released.release()
        released.close()
        assert Accelerator(device).load(NETWORK) == WHOLE

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("bit", range(9))
    def test_what_differs_on_a_bad_line(self, device, fault, bit):
        """Whatever word goes wrong, those between that stay are what they were, too."""
        Accelerator(device).load(NETWORK)
        counting = Faulty(device)
        accelerator = Accelerator(counting)
        accelerator.attach(NETWORK)
        before = counting.words
        accelerator.load(far_apart())
        for place in range(before, counting.words, 2):
            Accelerator(device).load(NETWORK)
            link = Faulty(device, place, FAULTS[fault](random.Random(bit)))
            accelerator = Accelerator(link)
            accelerator.attach(NETWORK)
            accelerator.load(far_apart())
            found = accelerator.run(INPUTS[:3])
            np.testing.assert_array_equal(found, golden.run(OTHER_LAYERS, INPUTS[:3])[-1])


class TestDifferingWords:
    @pytest.mark.parametrize("seed", range(20))
    def test_old_with_them_is_new(self, seed):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, 30, (4, 2))
        old = [
            (100 * n, rng.integers(0, 2, a).astype(np.uint32)) for n, (a, _) in enumerate(lengths)
        ]
        new = [
            (100 * n, rng.integers(0, 2, b).astype(np.uint32)) for n, (_, b) in enumerate(lengths)
        ]
        new.append((1000, np.arange(5, dtype=np.uint32)))
        memory = {a + i: int(w) for a, words in old for i, w in enumerate(words)}
        wanted = {a + i: int(w) for a, words in new for i, w in enumerate(words)}
        parts = differing_words(new, old)
        sent = {a + i: int(w) for a, words in parts for i, w in enumerate(words)}
        assert sent.items() <= wanted.items()
        assert (memory | sent) | wanted == memory | sent
        for address, words in parts:  # no part begins or ends with what is there already
            for place in (address, address + len(words) - 1):
                assert memory.get(place) != wanted[place]

    def test_nothing(self):
        assert differing_words(image_words(IMAGE), image_words(IMAGE)) == []


class TestPredict:
    def test_numbers_in_any_shape(self, accelerator):
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
        np.testing.assert_array_equal(accelerator.predict(X.reshape(-1, 5, 6)), EXPECTED)
        np.testing.assert_array_equal(accelerator.predict(X.tolist()), EXPECTED)
        assert accelerator.predict(X[:0]).shape == (0, 10)

    def test_progress(self, accelerator, capsys):
        shares = []
        accelerator.predict(X, shares.append)
        assert shares == sorted(shares)
        assert len(shares) == 3
        assert shares[-1] == 1.0
        accelerator.predict(X, True)
        assert "running" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (X[0], r"inputs have shape \(30,\); \(n, 30\) is needed"),
            (np.zeros((3, 0)), r"shape \(3, 0\)"),
            (X[:, :29], r"shape \(\d+, 29\); \(n, 30\)"),
            ([["a"]], "inputs are not numbers"),
            (np.full((1, 30), np.nan), "an input is not a finite number"),
        ],
    )
    def test_inputs_that_do_not_suit(self, accelerator, x, message):
        with pytest.raises(BadInput, match=message):
            accelerator.predict(x)

    def test_an_image_has_no_network(self, device):
        accelerator = Accelerator(device)
        for load in (lambda: None, lambda: accelerator.load(IMAGE)):
            load()
            with pytest.raises(DeviceError, match=r"no network is loaded; call load\(\) with one"):
                accelerator.predict(X)

    @pytest.mark.parametrize("batch", [1, 2, IMAGE.vectors])
    def test_batch(self, accelerator, batch):
        runs = accelerator.info().registers.commands
        np.testing.assert_array_equal(accelerator.run(INPUTS, batch=batch), LAYERS[-1])
        # Each run is an abort and a start.
        runs = accelerator.info().registers.commands - runs
        assert runs == 2 * -(-len(INPUTS) // batch)

    @pytest.mark.parametrize("batch", [0, IMAGE.vectors + 1])
    def test_batch_that_is_none(self, accelerator, batch):
        message = f"batch is {batch}; the device has memory for 1 to {IMAGE.vectors} vectors"
        with pytest.raises(BadInput, match=message):
            accelerator.run(INPUTS, batch=batch)

    def test_cycles_are_of_all_vectors(self, accelerator):
        accelerator.run(INPUTS[:1], batch=1)
        one = accelerator.cycles
        accelerator.run(np.repeat(INPUTS[:1], 5, axis=0), batch=1)
        assert accelerator.cycles == 5 * one


class TestTrace:
    def test_every_layer(self, accelerator):
        trace = accelerator.trace(INPUTS)
        assert trace.difference is None
        for found, expected in zip(trace.layers, LAYERS, strict=True):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(accelerator.predict(X, trace_layers=True), EXPECTED)

    @pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 6])  # those whose networks are not too large
    def test_convolutions(self, accelerator, seed):
        network = random_graph(Limits(channels=9, side=8, code_bits=3), seed)
        accelerator.load(network)
        x = random_planes(network, 2, seed)
        assert accelerator.trace(x).difference is None
        np.testing.assert_array_equal(accelerator.run(x), golden.run(network, x)[-1])

    def test_the_first_element_that_differs(self, accelerator, device):
        damage_second_layer(device)
        found, expected = golden.run(OTHER, INPUTS)[1], LAYERS[1]
        differing = np.argwhere(found != expected)
        vector, element = differing[0]
        message = (
            f"layer 1 (layer1) differs from the golden model in {len(differing)} of "
            f"{expected.size} activations, the first in vector {vector}, element {element}: "
            f"{found[vector, element]} instead of {expected[vector, element]}"
        )
        trace = accelerator.trace(INPUTS)
        assert trace.difference == message
        np.testing.assert_array_equal(trace.layers[0], LAYERS[0])
        np.testing.assert_array_equal(trace.layers[1], found)
        assert len(trace.layers) == 2
        with pytest.raises(DeviceError) as error:
            accelerator.predict(X, trace_layers=True)
        assert str(error.value) == message

    def test_the_network_is_whole_afterwards(self, accelerator):
        accelerator.trace(INPUTS[:1])
        assert accelerator.image_id == IMAGE.id
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_prefix_differs_in_a_bit(self):
        for layers in range(1, 3):
            (part,) = differing_words(image_words(prefix(IMAGE, layers)), image_words(IMAGE))
            assert len(part[1]) == 1
        assert prefix(IMAGE, 3).id == IMAGE.id


class TestSelftest:
    def test_a_sound_device(self, accelerator):
        names = []
        checks = accelerator.selftest(names.append)
        assert [check.name for check in checks] == names
        assert len(checks) == 5
        assert not any(check.failure for check in checks)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_a_memory_with_a_bad_bit(self, device, monkeypatch):
        """As the bus's checksum, which is of what is read, does not see it."""

        async def trusting(*_):
            pass

        class Stuck:
            """One bit of what is read is always 1."""

            def __getattr__(self, name):
                return getattr(device, name)

            def read(self, address, count):
                words = device.read(address, count)
                place = word_address(Window.ACTIVATIONS, 0, 5)
                if address <= place < address + count:
                    words[place - address] |= 0x100
                return words

        monkeypatch.setattr(VerifiedBus, "_check", trusting)
        failures = [check.failure for check in Accelerator(Stuck()).selftest()]
        assert failures[0].startswith("1 of ")
        assert "words of group 0 are wrong, the first word 5: " in failures[0]

    def test_a_fault_in_the_engine(self, device):
        """One that a random network meets."""

        class Faulty:
            def __getattr__(self, name):
                return getattr(device, name)

            told = False

            def write(self, address, words):
                # Between two exchanges, for what is between is in the checksum.
                if address == PLACE["crc"] and self.told:
                    damage(device, word_address(Window.CODEBOOK, offset=1), 0x1234)
                    self.told = False
                self.told |= address == PLACE["control"]
                device.write(address, words)

        failures = [check.failure for check in Accelerator(Faulty()).selftest()]
        assert failures[0] is None
        assert all("differs from the golden model" in failure for failure in failures[1:3])


class TestMisuse:
    def test_counters_of_nothing(self, accelerator):
        with pytest.raises(DeviceError, match="nothing was run since the image was loaded"):
            accelerator.counters()
        accelerator.run(INPUTS[:1])
        accelerator.trace(INPUTS[:2])
        with pytest.raises(DeviceError, match="nothing was run since"):
            accelerator.counters()

    def test_from_within(self, accelerator):
        """A progress callback that uses the accelerator."""
        with pytest.raises(DeviceError, match="called by what its own method calls"):
            accelerator.run(INPUTS, progress=lambda _: accelerator.reset())
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_a_trace_on_a_port_that_is_lost(self, device):
        class Lost:
            there = True

            def __getattr__(self, name):
                if not self.there:
                    raise PortError("the port was lost")
                return getattr(device, name)

        link = Lost()
        accelerator = Accelerator(link)
        accelerator.load(NETWORK)

        def unplug(_):
            link.there = False

        with pytest.raises(PortError):
            accelerator.trace(INPUTS, progress=unplug)
        with pytest.raises(DeviceError, match="no network is loaded"):
            accelerator.trace(INPUTS)


class TestThreads:
    def test_each_has_its_own_outputs(self, accelerator):
        wrong = []

        def use(number):
            x = random_inputs(RECIPE, 3, number)
            expected = golden.run(NETWORK, x)[-1]
            for _ in range(10):
                if not np.array_equal(accelerator.run(x), expected):
                    wrong.append(number)

        threads = [threading.Thread(target=use, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class TestAsync:
    def run(self, device, use):
        async def main():
            accelerator = AsyncAccelerator(Threaded(device))
            await accelerator.start()
            return await use(accelerator)

        return asyncio.run(main())

    def test_the_loop_goes_on(self, device):
        async def use(accelerator):
            turns = 0

            async def count():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            await accelerator.load(NETWORK)
            counting = asyncio.create_task(count())
            outputs = await accelerator.predict(X)
            counting.cancel()
            return outputs, turns

        outputs, turns = self.run(device, use)
        np.testing.assert_array_equal(outputs, EXPECTED)
        assert turns > 10

    def test_several_at_once(self, device):
        async def use(accelerator):
            await accelerator.load(NETWORK)
            return await asyncio.gather(*(accelerator.predict(X[n : n + 3]) for n in range(6)))

        for n, outputs in enumerate(self.run(device, use)):
            np.testing.assert_array_equal(outputs, EXPECTED[n : n + 3])

    def test_a_load_between(self, device):
        """What was asked for after it is of the network that it loads."""
        second = random_network(RECIPE, 2)

        async def use(accelerator):
            await accelerator.load(NETWORK)
            found = await asyncio.gather(
                accelerator.predict(X[:3]),
                accelerator.load(second),
                accelerator.predict(X[:3]),
                accelerator.trace(INPUTS[:2]),
            )
            assert found[3].difference is None
            return found

        found = self.run(device, use)
        expected = golden.dequantise(second, golden.run(second, INPUTS[:3])[-1])
        np.testing.assert_array_equal(found[0], EXPECTED[:3])
        np.testing.assert_array_equal(found[2], expected)

    @pytest.mark.parametrize("what", ["load", "run"])
    def test_cancelled(self, device, what):
        async def use(accelerator):
            def cancel(_):
                task.cancel()

            await accelerator.load(random_network(RECIPE, 2))
            task = asyncio.create_task(
                accelerator.load(NETWORK, cancel)
                if what == "load"
                else accelerator.run(INPUTS, progress=cancel)
            )
            with pytest.raises(asyncio.CancelledError):
                await task
            await accelerator.load(NETWORK)
            return await accelerator.predict(X)

        np.testing.assert_array_equal(self.run(device, use), EXPECTED)


class TestOpen:
    @pytest.fixture
    def port(self, device):
        with board_with(device) as name:
            yield name

    @pytest.fixture
    def silent(self):
        master, slave = os.openpty()
        tty.setraw(slave)
        yield os.ttyname(slave)
        os.close(master)
        os.close(slave)

    def test_by_name(self, port):
        with Accelerator.open(port) as accelerator:
            accelerator.load(NETWORK)
            np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
            info = accelerator.info()
        assert (info.port, info.config, info.boards) == (port, TINY, ())
        assert info.image_id == f"{IMAGE.id:08x}"
        assert not info.registers.busy

    def test_auto(self, port, silent, monkeypatch, capsys):
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setenv(ports.PORTS_VARIABLE, f"/dev/ttyNONE7, {silent},{port}")
        with Accelerator.open("auto") as accelerator:
            assert accelerator.port == port
            assert repr(accelerator) == f"<Accelerator at {port}>"
        assert capsys.readouterr().err == f"found an accelerator at {port}, 1,000,000 baud\n"

    def test_auto_finds_none(self, silent, monkeypatch):
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setenv(ports.PORTS_VARIABLE, f"/dev/ttyNONE7,{silent}")
        with pytest.raises(PortError) as error:
            Accelerator.open()
        assert str(error.value) == (
            f"no accelerator answers at any USB serial port: /dev/ttyNONE7 (there is no such "
            f"port), {silent} (no answer to a read of register magic within 0.5 s); name the port, "
            "also by the environment variable THRESHER_PORTS"
        )

    def test_ports_of_usb_alone_and_ftdi_s_first(self, monkeypatch):
        def info(device, vid):
            found = list_ports.comports.__globals__["list_ports_common"].ListPortInfo(device)
            found.vid = vid
            return found

        found = [
            info("/dev/ttyACM0", 0x1209),
            info("/dev/ttyS0", None),
            info("/dev/ttyUSB1", 0x0403),
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        monkeypatch.delenv(ports.PORTS_VARIABLE, raising=False)
        assert ports.candidates() == ["/dev/ttyUSB1", "/dev/ttyACM0"]

    def test_the_port_is_free_again(self, port):
        for _ in range(2):
            with Accelerator.open(port) as accelerator:
                accelerator.load(NETWORK)

    def test_async(self, port):
        async def main():
            async with await AsyncAccelerator.open(port) as accelerator:
                await accelerator.load(NETWORK)
                return await accelerator.predict(X)

        np.testing.assert_array_equal(asyncio.run(main()), EXPECTED)


def test_a_configuration_that_no_preset_has():
    config = dataclasses.replace(TINY, queue_depth=7)
    with open_engine(config) as device:
        accelerator = Accelerator(device)
        assert accelerator.info().config is None
        with pytest.raises(DeviceError, match="built for a configuration that no preset has"):
            accelerator.load(NETWORK)
        accelerator = Accelerator(device, config=config)
        accelerator.load(NETWORK)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
