"""The reader of .net files, and `thresher import-net`."""

from __future__ import annotations

import json
import os
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import golden
from sw import architectures
from sw import format as thr
from sw.architectures import template
from sw.cli import main
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.network import Layer, Network
from sw.read.net import read_net

PUBLISHED_BYTES, PUBLISHED_ENTRIES = 675_763, 422_083


def small():
    """A convolution, a sum and a mean, which no .net file has, and a fully connected layer."""
    first = Convolution(2, 3, 3, 2, 2, padding=1)
    one = Convolution(3, 4, 4, 1, 1, groups=3)
    mean = Convolution(3, 4, 4, 4, 4, groups=3)
    zeros = np.zeros(3)
    return Network(
        (
            Layer("conv", np.zeros((3, 8)), zeros, True, first),
            Layer("sum", np.ones((3, 1)), zeros, True, one, (1, 1), added=True, fixed=True),
            Layer("mean", np.full((3, 16), 1 / 16), zeros, False, mean, fixed=True),
            Layer("dense", np.zeros((5, 3)), np.zeros(5), False),
        )
    )


@pytest.fixture(autouse=True)
def architecture(monkeypatch):
    monkeypatch.setitem(architectures._ARCHITECTURES, "small", small)


def stored(name):
    return [layer for layer in template(name).layers if not layer.fixed]


def entries(codes):
    """(code, gap) of each entry: that of the paper's figure 2, with padding where gaps overflow."""
    found, before = [], -1
    for place in np.flatnonzero(codes):
        gap = int(place) - before - 1
        found += [(0, 15)] * (gap // 16) + [(int(codes[place]), gap % 16)]
        before = int(place)
    return found


def body(codebook, bias, pairs, spare=0):
    """What a layer takes of a file; `spare` is in the bits that an odd number of gaps leaves."""
    codes = np.array([code for code, _ in pairs], np.uint8)
    gaps = [gap for _, gap in pairs] + [spare] * (len(pairs) % 2)
    packed = np.array(gaps[::2], np.uint8) | np.array(gaps[1::2], np.uint8) << 4
    parts = (np.asarray(codebook, "<f4"), np.asarray(bias, "<f4"), codes, packed.astype(np.uint8))
    return b"".join(part.tobytes() for part in parts)


def assemble(layers, **more):
    """A file of (codebook, bias, pairs) of every layer."""
    counts = np.array([len(pairs) for _, _, pairs in layers], "<u4")
    return counts.tobytes() + b"".join(body(*layer, **more) for layer in layers)


def random_layers(name, seed=0, density=0.3, spread=1.0):
    """Codes (n,), codebooks and biases for an architecture."""
    rng = np.random.default_rng(seed)
    made = []
    for layer in stored(name):
        codes = rng.integers(1, 256, layer.weights.size).astype(np.uint8)
        codes *= rng.random(codes.size) < density
        codebook = (rng.normal(size=256) * spread / np.sqrt(layer.inputs)).astype(np.float32)
        codebook[0] = 0
        made.append((codes, codebook, rng.normal(size=len(layer.bias)).astype(np.float32)))
    return made


def contents(layers, **more):
    return assemble([(book, bias, entries(codes)) for codes, book, bias in layers], **more)


def write(folder, data):
    path = folder / "network.net"
    path.write_bytes(data)
    return path


def refuse(folder, data, message, name="small"):
    path = write(folder, data)
    with pytest.raises(BadInput, match=rf"{path}: .*{message}") as raised:
        read_net(path, name)
    assert "\n" not in str(raised.value)


class TestReader:
    @settings(derandomize=True, deadline=None, max_examples=60)
    @given(st.integers(0, 99), st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.integers(0, 15))
    def test_round_trip(self, tmp_path_factory, seed, density, spare):
        layers = random_layers("small", seed, density)
        path = write(tmp_path_factory.mktemp("net"), contents(layers, spare=spare))
        found = read_net(path, "small")
        for layer, (codes, codebook, bias), wanted in zip(
            found, layers, stored("small"), strict=True
        ):
            np.testing.assert_array_equal(layer.codes, codes.reshape(wanted.weights.shape))
            np.testing.assert_array_equal(layer.codebook, codebook)
            np.testing.assert_array_equal(layer.bias, bias)
            assert layer.codes.dtype == np.uint8
            assert layer.codebook.dtype == layer.bias.dtype == np.float64
            assert layer.entries == len(entries(codes))

    def test_gaps_low_bits_first_and_codes_of_zero(self, tmp_path):
        book = np.arange(256) / 8
        conv = [(7, 2), (0, 3), (9, 0), (255, 11)]  # places 2, 6, 7, 19
        dense = [(1, 14)]
        data = assemble([(book, [1, 2, 3], conv), (book, [0] * 5, dense)])
        assert data[8 + 1024 + 12 + 4 :][:2] == bytes([0x32, 0xB0])
        first, second = read_net(write(tmp_path, data), "small")
        expected = np.zeros(24)
        expected[[2, 7, 19]] = 7, 9, 255
        np.testing.assert_array_equal(first.codes.reshape(-1), expected)
        np.testing.assert_array_equal(np.argwhere(second.codes), [[4, 2]])
        assert (first.entries, second.entries) == (4, 1)

    def test_padding(self, tmp_path):
        pairs = [(0, 15), (3, 4)]
        data = assemble([(np.arange(256), [0] * 3, pairs), (np.arange(256), [0] * 5, [])])
        first, second = read_net(write(tmp_path, data), "small")
        assert np.flatnonzero(first.codes).tolist() == [20]
        assert not second.codes.any()

    def test_the_published_file_has_that_size(self, tmp_path):
        """Of the same number of entries in all; it needs 13 layers with an odd number of them."""
        layers = stored("squeezenet-v1.0")
        sizes = np.array([layer.weights.size for layer in layers])
        counts = sizes * PUBLISHED_ENTRIES // sizes.sum()
        counts[-1] += PUBLISHED_ENTRIES - counts.sum()
        while (odd := np.flatnonzero(counts % 2)).size != 13:
            pair = odd[:2] if odd.size > 13 else np.flatnonzero(counts % 2 == 0)[:2]
            counts[pair] += 1, -1
        data = assemble(
            [
                (np.arange(256), np.zeros(len(layer.bias)), [(1, 0)] * count)
                for layer, count in zip(layers, counts, strict=True)
            ]
        )
        assert len(layers) == 26
        assert len(data) == PUBLISHED_BYTES
        found = read_net(write(tmp_path, data), "squeezenet-v1.0")
        assert sum(layer.entries for layer in found) == PUBLISHED_ENTRIES
        assert [np.count_nonzero(layer.codes) for layer in found] == counts.tolist()


class TestRefusals:
    def data(self, conv=((7, 2), (9, 0)), dense=((1, 14),), book=None, bias=(0, 0, 0)):
        book = np.arange(256) if book is None else book
        return assemble([(book, bias, list(conv)), (np.arange(256), [0] * 5, list(dense))])

    def test_other_lengths(self, tmp_path):
        data = self.data()
        for length in [*range(20), *range(20, len(data), 50), len(data) - 1]:
            message = (
                rf"it has {length} bytes; the counts of small's 2 layers alone take 8"
                if length < 8
                else rf"it has {length} bytes; with the counts .* of small has {len(data)}"
            )
            refuse(tmp_path, data[:length], message)
        refuse(tmp_path, data + b"\0", rf"it has {len(data) + 1} bytes; .* has {len(data)}")

    def test_more_entries_than_weights(self, tmp_path):
        message = r"layer 'conv' has 25 entries, but small has 24 weights there: .* another arch"
        refuse(tmp_path, self.data(conv=[(1, 0)] * 25), message)
        refuse(tmp_path, b"\xff" * 2000, r"layer 'conv' has 4294967295 entries")

    def test_places_after_the_last_weight(self, tmp_path):
        message = r"layer 'conv': entry 1 lies in place 24; it has 24 weights, so the last .* 23"
        refuse(tmp_path, self.data(conv=[(1, 15), (1, 8), (1, 15)]), message)
        # Padding too: nothing else stands after it.
        refuse(tmp_path, self.data(dense=[(0, 15)]), "layer 'dense': entry 0 lies in place 15")

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_numbers_that_are_not_finite(self, tmp_path, number):
        book = np.arange(256.0)
        book[200] = number
        refuse(tmp_path, self.data(book=book), r"layer 'conv': its codebook holds .* at \[200\]")
        bias = [0, number, 0]
        refuse(tmp_path, self.data(bias=bias), r"layer 'conv': its bias holds .* at \[1\]")

    def test_a_code_of_0_that_is_no_0(self, tmp_path):
        message = r"layer 'conv': its codebook begins with 0.5; code 0 must be the weight 0"
        refuse(tmp_path, self.data(book=np.arange(256) + 0.5), message)

    def test_places_that_are_no_files(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for path, message in (
            (tmp_path / "none", "cannot be read: No such file"),
            (tmp_path / "pipe", "cannot be read: it is not a regular file"),
            (tmp_path, "cannot be read: it is not a regular file"),
        ):
            with pytest.raises(BadInput, match=f"{path}:? (it )?{message}"):
                read_net(path, "small")

    def test_an_unknown_architecture(self, tmp_path):
        with pytest.raises(BadInput, match="architecture 'alexnet' is unknown"):
            read_net(write(tmp_path, self.data()), "alexnet")
        refuse(tmp_path, self.data(), "has .* bytes; with the counts", name="lenet300100")

    def test_large_files_are_refused_unread(self, tmp_path):
        path = write(tmp_path, self.data())
        os.truncate(path, 1 << 40)
        tracemalloc.start()
        with pytest.raises(BadInput, match="it has 1099511627776 bytes; with the counts"):
            read_net(path, "small")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    def test_flipped_bits(self, tmp_path):
        data = self.data()
        read = 0
        for place in [*range(40), *range(40, 1000, 29), *range(1000, len(data), 3)]:
            broken = bytearray(data)
            broken[place] ^= 1 << place % 8
            path = write(tmp_path, broken)
            try:
                layers = read_net(path, "small")
            except BadInput:
                continue
            read += 1
            assert [layer.codes.shape for layer in layers] == [(3, 8), (5, 3)]
        assert 0 < read < len(data)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments):
    """The sentence with which the verb refuses its input."""
    result = run("import-net", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def imported(folder, name, *options, **more):
    """Layers of a random file, what the verb says of it, and the network that it writes."""
    layers = random_layers(name, **more)
    out = folder / "out.thr"
    path = write(folder, contents(layers))
    result = run("import-net", path, "--arch", name, "-o", out, "--json", *options)
    assert result.exit_code == 0, result.output
    return layers, json.loads(result.stdout), thr.read(out), result.stderr


def floats(name, layers):
    """The network that a file stands for."""
    left = iter(layers)
    made = []
    for layer in template(name).layers:
        if layer.fixed:
            made.append(layer)
            continue
        codes, codebook, bias = next(left)
        weights = codebook.astype(np.float64)[codes].reshape(layer.weights.shape)
        fields = layer.convolution, layer.sources, layer.added
        made.append(Layer(layer.name, weights, bias.astype(np.float64), layer.relu, *fields))
    return Network(tuple(made))


class TestVerb:
    @pytest.mark.parametrize("name", ["small", "lenet300100"])
    def test_codes_are_taken_over(self, tmp_path, name):
        layers, record, network, note = imported(tmp_path, name, density=0.02)
        assert "no --calibrate: 4 random inputs between 0 and 1 stand in" in " ".join(note.split())
        left = iter(layers)
        for layer, row in zip(network.layers, record["layers"], strict=True):
            if row["fixed"]:
                assert row["net_entries"] is None
                continue
            codes, codebook, _ = next(left)
            step = 2.0**-layer.weight_fraction
            integers = np.rint(codebook.astype(np.float64) / step)[codes]
            np.testing.assert_array_equal(layer.codebook[layer.codes].reshape(-1), integers)
            assert row["net_entries"] == len(entries(codes))
            assert row["nonzeros"] == np.count_nonzero(integers)
        assert record["net_entries"] == sum(len(entries(codes)) for codes, _, _ in layers)

    def test_outputs(self, tmp_path):
        x = np.random.default_rng(2).random((5, 18))
        np.save(tmp_path / "x.npy", x)
        layers, record, network, note = imported(
            tmp_path, "small", "--calibrate", tmp_path / "x.npy", seed=3, density=0.5
        )
        assert note == ""
        assert record["calibrated"] is True
        wired = [(layer.sources, layer.added) for layer in network.layers]
        assert wired == [(layer.sources, layer.added) for layer in template("small").layers]
        expected = floats("small", layers).predict(x)
        y = golden.dequantise(network, golden.run(network, golden.quantise(network, x))[-1])
        assert np.abs(y - expected).max() < 0.01 * np.abs(expected).max()

    def test_sizes(self, tmp_path):
        layers, record, _, _ = imported(tmp_path, "small")
        assert record["bytes"] == (tmp_path / "out.thr").stat().st_size
        assert record["net_bytes"] == len(contents(layers))
        assert record["float32_bytes"] == 4 * (24 + 3 + 15 + 5)
        assert record["architecture"] == "small"
        shown = run(
            *("import-net", tmp_path / "network.net", "--arch", "small"),
            *("-o", tmp_path / "out.thr"),
        )
        assert shown.exit_code == 0
        assert "times less than 188 as 32-bit floats" in " ".join(shown.stdout.split())

    def test_the_range_of_inputs(self, tmp_path):
        _, record, network, note = imported(tmp_path, "small", "--range", "-128", "128")
        assert "between -128 and 128" in " ".join(note.split())
        assert record["input"] == {"fraction": 0, "low": -128, "high": 128}
        assert (network.input.low, network.input.high) == (-128, 128)
        for limits in (("1", "0"), ("0", "nan"), ("0", "inf"), ("0", "0")):
            path, out = tmp_path / "network.net", tmp_path / "out.thr"
            said = refused(path, "--arch", "small", "-o", out, "--range", *limits)
            assert "--range is" in said
            assert "the lesser first" in said

    def test_what_is_refused_leaves_nothing(self, tmp_path):
        data = contents(random_layers("small"))
        path, out = write(tmp_path, data), tmp_path / "out.thr"
        out.write_bytes(b"before")
        np.save(tmp_path / "x.npy", np.zeros((2, 3)))
        assert "would be overwritten" in refused(path, "--arch", "small", "-o", path)
        assert "there is no folder" in refused(path, "--arch", "small", "-o", tmp_path / "a" / "b")
        assert "takes (vectors, 18)" in refused(
            *(path, "--arch", "small", "-o", out, "--calibrate", tmp_path / "x.npy")
        )
        assert "architecture 'x' is unknown" in refused(path, "--arch", "x", "-o", out)
        assert "--arch" in refused(path, "-o", out)
        write(tmp_path, data[:-1])
        assert f"{path}: it has {len(data) - 1} bytes" in refused(
            *(path, "--arch", "small", "-o", out)
        )
        assert out.read_bytes() == b"before"
        assert {each.name for each in tmp_path.iterdir()} == {"network.net", "out.thr", "x.npy"}

    @pytest.mark.parametrize("spread", [1e-40, 1e-20, 1e12, 1e30])
    def test_extreme_numbers(self, tmp_path, spread):
        path, out = write(tmp_path, contents(random_layers("small", spread=spread))), tmp_path / "o"
        result = run("import-net", path, "--arch", "small", "-o", out)
        assert result.exit_code in (0, 2)
        assert "Traceback" not in result.stderr
        assert out.exists() == (result.exit_code == 0)

    @pytest.mark.parametrize("peak", [0, 1e-300, 1e-20, 1e20, 1e308])
    def test_extreme_inputs(self, tmp_path, peak):
        path, out = write(tmp_path, contents(random_layers("small"))), tmp_path / "o"
        np.save(tmp_path / "x.npy", np.full((2, 18), peak))
        said = run(
            "import-net", path, "--arch", "small", "-o", out, "--calibrate", tmp_path / "x.npy"
        )
        assert said.exit_code in (0, 2), said.exception
        assert out.exists() == (said.exit_code == 0)

    def test_help(self):
        said = run("import-net", "--help").stdout
        assert "squeezenet-v1.0" in said
        assert "Examples:" in said
        assert "import-net" in run("--help").stdout
