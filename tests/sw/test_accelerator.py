"""What the driver does with networks: predictions, differences, traces."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from faulty import Lost
from two_networks import EXPECTED, IMAGE, INPUTS, LAYERS, NETWORK, OTHER, PLACE_OF_IT, X

from hw.layouts import BUS_ADDRESS_BITS
from hw.regmap import PLACE, Window
from sim import golden
from sim.random_graph import Limits, random_graph, random_planes
from sw.bus import VerifiedBus
from sw.driver import Accelerator, DeviceError, Mismatch, NotLoaded, NotRun
from sw.errors import BadInput
from sw.image import word_address
from sw.trace import prefix
from sw.transport import PortError
from sw.words import differing_words, image_words


def damage(device, place, word):
    """Write into a memory of a device whose driver does not know it."""
    device.write(PLACE["write_first"], np.array([0, (1 << BUS_ADDRESS_BITS) - 1], np.uint32))
    device.write(place, np.array([word], np.uint32))
    device.write(PLACE["write_first"], np.array([(1 << BUS_ADDRESS_BITS) - 1, 0], np.uint32))


def damage_second_layer(device):
    """So that it computes what `OTHER` does."""
    place = word_address(Window.CODEBOOK, offset=PLACE_OF_IT)
    damage(device, place, int(OTHER.layers[1].codebook[1]) & 0xFFFF)


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
            (X[0, :29], r"inputs have shape \(29,\); \(n, 30\) is needed"),
            (np.zeros((3, 0)), r"shape \(3, 0\)"),
            (X[:, :29], r"shape \(\d+, 29\); \(n, 30\)"),
            ([["a"]], "inputs are not numbers"),
            (X.astype(complex), "^inputs are complex128; real numbers are needed$"),
            ((X + 1j).tolist(), "^inputs are complex128; real numbers are needed$"),
            (np.full((1, 30), np.nan), "an input is not a finite number"),
        ],
    )
    def test_inputs_that_do_not_suit(self, accelerator, x, message):
        with pytest.raises(BadInput, match=message):
            accelerator.predict(x)

    @pytest.mark.parametrize("timeout", [0, -1.5, float("nan"), "10"])
    @pytest.mark.parametrize("trace_layers", [False, True])
    def test_no_time_at_all(self, accelerator, timeout, trace_layers):
        """Refused before the device has anything to do."""
        before = accelerator.info()
        with pytest.raises(BadInput) as error:
            accelerator.predict(X, timeout=timeout, trace_layers=trace_layers)
        assert str(error.value) == f"timeout is {timeout!r}; it must be more than 0 seconds"
        assert accelerator.info() == before
        assert accelerator.cycles == 0

    def test_an_image_has_no_network(self, device):
        accelerator = Accelerator(device)
        for load in (lambda: None, lambda: accelerator.load(IMAGE)):
            load()
            with pytest.raises(NotLoaded, match=r"no network is loaded; call load\(\) with one"):
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

    def test_what_is_counted_then_is_the_whole_network_s(self, accelerator):
        accelerator.predict(X)
        counted = accelerator.cycles, accelerator.counters()
        accelerator.load(OTHER)
        accelerator.load(NETWORK)
        accelerator.predict(X, trace_layers=True)
        assert (accelerator.cycles, accelerator.counters()) == counted

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
        assert str(trace.difference) == message
        np.testing.assert_array_equal(trace.layers[0], LAYERS[0])
        np.testing.assert_array_equal(trace.layers[1], found)
        assert len(trace.layers) == 2
        with pytest.raises(Mismatch) as error:
            accelerator.predict(X, trace_layers=True)
        assert str(error.value) == message
        at = error.value.difference
        assert (at.layer, at.vector, at.element) == (1, vector, element)
        assert (at.found, at.expected) == (found[vector, element], expected[vector, element])
        copy = pickle.loads(pickle.dumps(error.value))
        assert (type(copy), copy.difference) == (Mismatch, at)

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
        with pytest.raises(NotRun, match="nothing was run since the image was loaded"):
            accelerator.counters()
        accelerator.run(INPUTS[:1])
        accelerator.trace(INPUTS[:2])
        with pytest.raises(NotRun, match="nothing was run since"):
            accelerator.counters()

    def test_from_within(self, accelerator):
        """A progress callback that uses the accelerator."""
        with pytest.raises(DeviceError, match="called by what its own method calls"):
            accelerator.run(INPUTS, progress=lambda _: accelerator.reset())
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_a_trace_on_a_port_that_is_lost(self, device):
        link = Lost(device)
        accelerator = Accelerator(link)
        accelerator.load(NETWORK)

        def unplug(_):
            link.there = False

        with pytest.raises(PortError):
            accelerator.trace(INPUTS, progress=unplug)
        with pytest.raises(NotLoaded, match="no network is loaded"):
            accelerator.trace(INPUTS)


class TestInterrupted:
    """By Ctrl-C, which may end the other side, too."""

    @pytest.fixture(params=[True, False], ids=["there", "lost"])
    def link(self, request, device):
        link = Lost(device)
        link.remains = request.param
        return link

    @pytest.mark.parametrize("loaded", [True, False])
    @pytest.mark.parametrize("what", ["load", "run", "trace", "selftest"])
    def test_it_is_what_is_raised(self, link, loaded, what):
        accelerator = Accelerator(link)
        if loaded or what in ("run", "trace"):
            accelerator.load(NETWORK)

        def interrupt(_):
            link.there = link.remains
            raise KeyboardInterrupt

        use = {
            "load": lambda: accelerator.load(OTHER, interrupt),
            "run": lambda: accelerator.run(INPUTS, progress=interrupt),
            "trace": lambda: accelerator.trace(INPUTS, progress=interrupt),
            "selftest": lambda: accelerator.selftest(interrupt),
        }
        with pytest.raises(KeyboardInterrupt):
            use[what]()
        link.there = True
        accelerator.load(NETWORK)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)

    def test_the_network_is_whole_afterwards(self, accelerator):
        def interrupt(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            accelerator.trace(INPUTS, progress=interrupt)
        np.testing.assert_array_equal(accelerator.predict(X), EXPECTED)
