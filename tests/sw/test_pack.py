"""The packer: images that compute what the network computes, in memories that hold them."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hw import layouts
from hw.config import PRESETS, ConfigError
from hw.regmap import Window, window_items
from sim import golden
from sim.random_network import Recipe, random_inputs, random_network
from sim.walk import walk
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.errors import BadInput
from sw.pack import config_for, pack, usage
from sw.place import balance, place

TINY = PRESETS["tiny"]
KNOBS = (
    "entry_depth",
    "column_depth",
    "accumulator_depth",
    "bias_depth",
    "codebook_depth",
    "activation_depth",
    "layer_depth",
)
NETWORK = random_network(Recipe(sizes=[50, 40, 30, 9], density=0.2), 4)


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )


@st.composite
def recipes(draw, greatest=600):
    sizes = st.one_of(st.integers(1, 12), st.integers(1, greatest))
    return Recipe(
        sizes=draw(st.lists(sizes, min_size=2, max_size=4)),
        density=draw(st.sampled_from([0.0, 0.005, 0.03, 0.1, 0.3, 0.7, 1.0])),
        code_bits=draw(st.integers(1, 8)),
        activation_density=draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        activation_bits=draw(st.integers(4, 16)),
    )


@examples(150)
@given(
    recipe=recipes(),
    lanes=st.integers(1, 64),
    groups=st.integers(1, 4),
    more_bits=st.integers(0, 8),
    seed=st.integers(0, 1 << 30),
)
def test_the_image_computes_what_the_network_computes(recipe, lanes, groups, more_bits, seed):
    """On any grid, with any split of an entry; every word within its memory."""
    network, x = random_network(recipe, seed), random_inputs(recipe, 2, seed)
    config = config_for(
        network, lanes=lanes, groups=groups, entry_bits=recipe.code_bits + more_bits
    )
    image = pack(network, config)
    expected = golden.run(network, x)
    for walked, port, outputs in zip(walk(image, x), image.layer_ports, expected, strict=True):
        np.testing.assert_array_equal(walked.outputs[:, port.slots], outputs)
    check_contents(image)
    check_ports(image)


def check_contents(image):
    for window, units in image.contents.items():
        count, depth, width = window_items(window, image.config)
        assert len(units) == count
        for items in units:
            assert items.dtype == np.uint32
            assert items.shape[1] == -(-width // layouts.BUS_BITS)
            assert len(items) <= depth
            assert not (items[:, -1] >> (width - 1) % layouts.BUS_BITS >> 1).any()


def check_ports(image):
    """What a layer reads and what it writes lie apart, for all vectors of a run."""
    depth = image.config.activation_depth
    ports = [image.input, *image.layer_ports]
    assert image.vectors >= 1
    for read, written in itertools.pairwise(ports):
        ranges = sorted(
            (port.base, port.base + image.vectors * port.words) for port in (read, written)
        )
        assert ranges[0][0] >= 0
        assert ranges[0][1] <= ranges[1][0]
        assert ranges[1][1] <= depth
    for port in ports:
        assert len(set(port.slots.tolist())) == len(port.slots)
        assert port.slots.max() < port.words * image.config.groups * image.config.lanes


@pytest.mark.parametrize("groups", [1, 3])
def test_the_program_tells_where_everything_is(groups):
    image = pack(NETWORK, config_for(NETWORK, lanes=4, groups=groups))
    layout = layouts.instruction(image.config)
    ports = [image.input, *image.layer_ports]
    column = bias = codebook = 0
    for number, words in enumerate(image.contents[Window.PROGRAM][0]):
        word = sum(int(part) << (32 * at) for at, part in enumerate(words))
        found = {name: (word >> field.offset) & ((1 << field.width) - 1) for name, field in layout}
        layer = NETWORK.layers[number]
        read, written = ports[number], ports[number + 1]
        assert (found["in_base"], found["in_words"]) == (read.base, read.words)
        assert (found["out_base"], found["out_rows"]) == (written.base, written.words * groups)
        bases = (found["column_base"], found["bias_base"], found["codebook_base"])
        assert bases == (column, bias, codebook)
        assert (found["shift"], found["relu"]) == (layer.shift, layer.relu)
        assert found["code_bits"] == layer.code_bits
        assert found["last"] == (number == len(NETWORK.layers) - 1)
        column += read.words * 4
        bias += written.words * groups
        codebook += len(layer.codebook)


def test_the_image_is_the_same_every_time_and_its_id_tells_it_apart():
    one = pack(NETWORK, config_for(NETWORK, lanes=4))
    assert pack(NETWORK, one.config).id == one.id
    others = [
        pack(NETWORK, dataclasses.replace(one.config, queue_depth=16)),
        pack(NETWORK, config_for(NETWORK, lanes=5)),
        pack(changed(shift=NETWORK.layers[0].shift + 1), one.config),
        pack(changed(bias=NETWORK.layers[0].bias + 1), one.config),
    ]
    assert len({image.id for image in (one, *others)}) == 5


def changed(layer=0, **fields):
    """The network with some fields of one layer changed."""
    layers = list(NETWORK.layers)
    layers[layer] = dataclasses.replace(layers[layer], **fields)
    return dataclasses.replace(NETWORK, layers=tuple(layers))


class TestBalance:
    works = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 200)), min_size=1, max_size=80)

    @examples(300)
    @given(work=works, lanes=st.integers(1, 64), spare=st.integers(0, 2))
    def test_rows_are_spread_evenly(self, work, lanes, spare):
        work = np.array(work)
        rows = -(-len(work) // lanes) + spare
        slots = balance(work[:, None], lanes, rows)
        load = np.bincount(slots % lanes, work, minlength=lanes)
        # Graham's bound; the limit on rows per lane does not break it.
        assert load.max() <= work.sum() / lanes + work.max()
        self.check_slots(slots, lanes, rows)

    @examples(100)
    @given(data=st.data(), lanes=st.integers(1, 20), groups=st.integers(2, 4))
    def test_every_row_has_its_own_slot(self, data, lanes, groups):
        outputs = data.draw(st.integers(1, 60))
        seed = data.draw(st.integers(0, 1000))
        work = np.random.default_rng(seed).integers(0, 30, (outputs, groups))
        rows = -(-outputs // lanes)
        self.check_slots(balance(work, lanes, rows), lanes, rows)

    def check_slots(self, slots, lanes, rows):
        assert len(set(slots.tolist())) == len(slots)
        assert slots.min() >= 0
        assert slots.max() < rows * lanes
        for lane in range(lanes):
            mine = slots[slots % lanes == lane]
            # From the top without gaps, in order: a lane needs no more rows than it has.
            assert mine.tolist() == [row * lanes + lane for row in range(len(mine))]

    def test_equal_rows_are_shared_out_equally(self):
        load = np.bincount(balance(np.full((64, 1), 7), 16, 4) % 16)
        assert load.tolist() == [4] * 16

    def test_the_heaviest_row_comes_first(self):
        work = np.array([1] * 8 + [8])
        assert np.bincount(balance(work[:, None], 2, 8) % 2, work).tolist() == [8, 8]

    def test_the_fullest_element_counts_and_not_the_fullest_lane(self):
        work = np.array([[9, 0], [0, 9], [8, 0], [0, 8]])
        lanes = balance(work, 2, 2) % 2
        loads = [np.bincount(lanes, work[:, group], minlength=2).max() for group in range(2)]
        assert loads == [9, 9]

    def test_a_skewed_network_takes_no_more_than_its_share(self):
        """Rows of decreasing density, which a plain round robin would pile up in lane 0."""
        rng = np.random.default_rng(5)
        codes = (rng.random((64, 100)) < np.linspace(0.5, 0.01, 64)[:, None]).astype(np.uint8)
        network = one_layer(codes, np.array([0, 1]))
        (layer,) = place(network, config_for(network, lanes=8, entry_bits=9)).layers
        entries = layer.element_entries
        assert max(entries) <= 1.05 * np.mean(entries)


def one_layer(codes, codebook, **fields):
    layer = CompressedLayer("only", codes, codebook, 0, np.zeros(len(codes), np.int64), 0, False)
    layer = dataclasses.replace(layer, **fields)
    return CompressedNetwork(NumberFormat(0, -8, 7), 16, 16, 32, (layer,))


class TestEntries:
    @examples(60)
    @given(recipe=recipes(120), more_bits=st.integers(0, 9), seed=st.integers(0, 1000))
    def test_no_other_split_is_quicker(self, recipe, more_bits, seed):
        """The gap that was chosen gives the fewest entries in the fullest element."""
        network = random_network(recipe, seed)
        bits = recipe.code_bits + more_bits
        best = place(network, config_for(network, lanes=3, entry_bits=bits))
        for fewer in range(more_bits):
            config = config_for(network, lanes=3, entry_bits=recipe.code_bits + fewer)
            for one, other in zip(best.layers, place(network, config).layers, strict=True):
                assert max(one.element_entries) <= max(other.element_entries)

    def test_a_full_layer_has_no_gap_bits_and_no_padding(self):
        network = one_layer(np.ones((20, 10), np.uint8), np.array([0, 5]))
        (layer,) = place(network, config_for(network, lanes=4)).layers
        assert layer.gap_bits == 0
        assert sum(layer.element_entries) == 200

    def test_padding_bridges_a_gap_that_is_too_long(self):
        codes = np.zeros((40, 1), np.uint8)
        codes[39] = 1
        network = one_layer(codes, np.array([0, 5]))
        (layer,) = place(network, config_for(network, lanes=1, entry_bits=4)).layers
        # Three gap bits: four entries of code 0 skip eight rows each, and 39 = 4 * 8 + 7.
        assert layer.entries[0].tolist() == [0b1110] * 4 + [0b1111]


@pytest.mark.parametrize("groups", [1, 3])
def test_usage_is_what_the_image_holds(groups):
    image = pack(NETWORK, config_for(NETWORK, lanes=4, groups=groups))
    ports = [image.input, *image.layer_ports]
    assert {need.knob: need.used for need in usage(NETWORK, image.config)} == {
        "entry_depth": max(len(items) for items in image.contents[Window.ENTRIES]),
        "column_depth": len(image.contents[Window.POINTERS][0]),
        "accumulator_depth": max(port.words for port in image.layer_ports) * groups,
        "bias_depth": len(image.contents[Window.BIAS][0]),
        "codebook_depth": len(image.contents[Window.CODEBOOK][0]),
        "activation_depth": max(a.words + b.words for a, b in itertools.pairwise(ports)),
        "layer_depth": len(image.contents[Window.PROGRAM][0]),
    }


class TestShortage:
    config = config_for(NETWORK, lanes=4)

    @pytest.mark.parametrize("knob", KNOBS)
    def test_names_what_is_short_and_the_setting_that_fits(self, knob):
        need = next(need for need in usage(NETWORK, self.config) if need.knob == knob)
        short = dataclasses.replace(self.config, **{knob: need.used - 1})
        with pytest.raises(BadInput) as error:
            pack(NETWORK, short)
        sentence = str(error.value)
        assert sentence.startswith(
            f"layer {need.layer}: {need.used} {need.holds} are needed, {need.used - 1} are there, "
            f"1 too few; {knob} = "
        )
        setting = int(re.fullmatch(rf".*{knob} = (\d+) would do", sentence).group(1))
        pack(NETWORK, dataclasses.replace(short, **{knob: setting}))

    def test_names_the_layer_that_takes_most(self):
        wide = random_network(Recipe(sizes=[5, 90, 4], density=0.5), 1)
        layers = {need.knob: need.layer for need in usage(wide, config_for(wide, lanes=4))}
        assert layers["accumulator_depth"] == "layer0"
        assert layers["column_depth"] == "layer1"

    def test_names_all_that_is_short(self):
        least = dict.fromkeys(KNOBS, 2)
        with pytest.raises(BadInput) as error:
            pack(NETWORK, dataclasses.replace(self.config, **least))
        for knob in KNOBS:
            assert f"; {knob} = " in str(error.value)

    @pytest.mark.parametrize("knob", KNOBS)
    def test_what_is_there_is_enough_to_the_last_word(self, knob):
        need = next(need for need in usage(NETWORK, self.config) if need.knob == knob)
        assert need.fits
        pack(NETWORK, dataclasses.replace(self.config, **{knob: need.used}))


class TestConfigFor:
    @examples(60)
    @given(recipe=recipes(), lanes=st.integers(1, 64), groups=st.integers(1, 4))
    def test_memories_are_powers_of_two_and_none_could_be_halved(self, recipe, lanes, groups):
        network = random_network(recipe, 1)
        config = config_for(network, lanes=lanes, groups=groups, entry_bits=recipe.code_bits + 4)
        for need in usage(network, config):
            depth = getattr(config, need.knob)
            assert depth & (depth - 1) == 0
            assert need.fits
            assert depth == 2 or need.used > depth // 2

    def test_takes_knobs_as_they_are_and_widths_from_the_network(self):
        config = config_for(NETWORK, lanes=3, queue_depth=5, entry_depth=4096)
        assert (config.lanes, config.queue_depth, config.entry_depth) == (3, 5, 4096)
        assert config.activation_bits == NETWORK.activation_bits
        pack(NETWORK, config)

    def test_a_network_that_no_configuration_holds(self):
        network = random_network(Recipe(sizes=[2, 5000], density=0.1), 1)
        with pytest.raises(
            BadInput,
            match=r"layer layer0: 5000 rows per lane of one layer are nee"
            r"ded, more than any configuration has \(4096\); use more lanes",
        ):
            config_for(network, lanes=1)

    def test_a_grid_that_cannot_be(self):
        with pytest.raises(ConfigError, match="lanes is 0; it must be from 1 to 64"):
            config_for(NETWORK, lanes=0)


class TestMismatch:
    def test_activation_width(self):
        with pytest.raises(
            BadInput, match="compressed for 16-bit activations, the accelerator has 8-bit ones"
        ):
            pack(NETWORK, dataclasses.replace(TINY, activation_bits=8))

    def test_weight_width(self):
        layer = NETWORK.layers[1]
        worst = np.abs(layer.codebook).max()
        bits = int(worst).bit_length()  # one too few for a signed number
        with pytest.raises(BadInput) as error:
            pack(NETWORK, dataclasses.replace(config_for(NETWORK, lanes=4), weight_bits=bits))
        assert re.match(
            r"layer layer\d: codebook values reach \d+, more than the accelerator's "
            rf"{bits}-bit weights hold \({(1 << (bits - 1)) - 1}\)",
            str(error.value),
        )

    def test_codes_wider_than_an_entry(self):
        network = changed(1, codebook=np.arange(32))
        config = dataclasses.replace(config_for(NETWORK, lanes=4), entry_bits=4)
        for use in (pack, usage):
            with pytest.raises(
                BadInput,
                match="layer layer1: its 5-bit codes do not fit into the "
                "accelerator's 4-bit entries",
            ):
                use(network, config)

    def test_an_accumulator_that_could_overflow(self):
        config = dataclasses.replace(config_for(NETWORK, lanes=4), accumulator_bits=22)
        with pytest.raises(
            BadInput,
            match=r"layer '?layer0'?, row \d+: a sum can reach -?\d+, which "
            r"does not fit in 22 accumulator bits; \d+ bits would fit",
        ):
            pack(NETWORK, config)
