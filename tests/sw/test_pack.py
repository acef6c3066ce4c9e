"""The packer: images that compute what the network computes, in memories that hold them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from agreement import agree
from hand import layer_of, network_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hw.config import PRESETS, ConfigError
from hw.regmap import Window
from sim.random_network import Recipe, random_inputs, random_network
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.pack import config_for, pack, usage
from sw.tensors import shapes

TINY = PRESETS["tiny"]
KNOBS = (
    "entry_depth",
    "column_depth",
    "segment_depth",
    "accumulator_depth",
    "bias_depth",
    "codebook_depth",
    "activation_depth",
    "layer_depth",
)
NETWORK = random_network(Recipe(sizes=[50, 40, 30, 9], density=0.2), 4)
SPARSE = np.zeros((9, 36), np.uint8)
SPARSE[::2, ::3] = 1
PLANES = network_of(
    layer_of(Convolution(1, 12, 12, 3, 3, pool=2), 4),
    layer_of(Convolution(4, 5, 5, 3, 3, padding=1), 9, codes=SPARSE),
    layer_of(9 * 25, 30, codes=np.eye(30, 9 * 25, dtype=np.uint8)),
)


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
def recipes(draw, greatest):
    sizes = st.one_of(st.integers(1, 12), st.integers(1, greatest))
    return Recipe(
        sizes=draw(st.lists(sizes, min_size=2, max_size=4)),
        density=draw(st.sampled_from([0.0, 0.005, 0.03, 0.1, 0.3, 0.7, 1.0])),
        code_bits=draw(st.integers(1, 8)),
        activation_density=draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        activation_bits=draw(st.integers(4, 16)),
    )


@examples(120)
@given(
    recipe=recipes(290),  # dense, an element can hold three such layers
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
    agree(network, config, x)


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


@pytest.mark.parametrize("network", [NETWORK, PLANES])
@pytest.mark.parametrize("groups", [1, 3])
def test_usage_is_what_the_image_holds(network, groups):
    image = pack(network, config_for(network, lanes=4, groups=groups))
    ports = [image.input, *image.layer_ports]
    assert image.vectors == 1
    # A pointer counts up to one less than there are accumulators, and no column here is full.
    rows = max(
        port.words // pixels for port, pixels in zip(ports[1:], pixels_of(network), strict=True)
    )
    assert {need.knob: need.used for need in usage(network, image.config)} == {
        "entry_depth": max(len(items) for items in image.contents[Window.ENTRIES]),
        "column_depth": len(image.contents[Window.POINTERS][0]),
        "segment_depth": len(image.contents[Window.SEGMENTS][0]),
        "accumulator_depth": rows * groups,
        "bias_depth": len(image.contents[Window.BIAS][0]),
        "codebook_depth": len(image.contents[Window.CODEBOOK][0]),
        "activation_depth": max(port.base + port.words for port in ports),
        "layer_depth": len(image.contents[Window.PROGRAM][0]),
    }


def pixels_of(network):
    return [shape.pixels for shape in shapes(network)[1:]]


class TestLayers:
    """Which layer is named: the one that needs the most."""

    def named(self, network, **knobs):
        return {need.knob: need.layer for need in usage(network, config_for(network, **knobs))}

    def test_of_dense_layers(self):
        wide = random_network(Recipe(sizes=[5, 90, 4], density=0.5), 1)
        layers = self.named(wide, lanes=4)
        assert layers["accumulator_depth"] == "layer0"
        assert layers["column_depth"] == "layer1"

    def test_of_convolutions(self):
        network = network_of(
            layer_of(Convolution(1, 12, 12, 3, 3, pool=2), 4),
            layer_of(Convolution(4, 5, 5, 3, 3, padding=1), 9, codebook=np.arange(50)),
            layer_of(9 * 25, 24),
        )
        assert self.named(network, lanes=4) == {
            "entry_depth": "layer2",
            "column_depth": "layer2",
            "segment_depth": "layer1",  # a place of a padded kernel is a segment each
            "accumulator_depth": "layer2",
            "bias_depth": "layer2",
            "codebook_depth": "layer1",
            "activation_depth": "layer1",  # 25 pixels of one word and of three
            "layer_depth": "layer0",
        }

    def test_where_most_is_alive(self):
        """Not where a layer has most of its own: the input waits for the last one."""
        plane = Convolution(8, 6, 6, 1, 1)
        network = network_of(
            layer_of(plane, 4),
            layer_of(dataclasses.replace(plane, channels=4), 8),
            layer_of(plane, 4),
            layer_of(Convolution(12, 6, 6, 1, 1), 4, sources=(1, 4)),
        )
        assert self.named(network, lanes=4)["activation_depth"] == "layer2"


class TestShortage:
    config = config_for(NETWORK, lanes=4)

    @pytest.mark.parametrize("knob", sorted(set(KNOBS) - {"accumulator_depth"}))
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

    def test_accumulators_are_short_where_groups_take_a_row_each(self):
        """Otherwise a layer takes more instructions; of one position, both buffers serve."""
        config = config_for(
            PLANES, lanes=4, groups=4, column_depth=4096, segment_depth=512, layer_depth=64
        )
        with pytest.raises(BadInput) as error:
            pack(PLANES, dataclasses.replace(config, accumulator_depth=3))
        assert str(error.value) == (
            "layer layer0: 4 rows per lane of one instruction are needed, 3 are there, 1 too few; "
            "accumulator_depth = 4 would do"
        )
        for depth in (3, 4, 5):
            needs = usage(PLANES, dataclasses.replace(config, accumulator_depth=depth))
            assert all(need.fits for need in needs) == (depth >= 4)

    def test_names_all_that_is_short(self):
        least = dict.fromkeys(KNOBS, 2)
        with pytest.raises(BadInput) as error:
            pack(PLANES, dataclasses.replace(config_for(PLANES, lanes=4, groups=3), **least))
        for knob in KNOBS:
            assert f"; {knob} = " in str(error.value)

    @pytest.mark.parametrize("knob", KNOBS)
    def test_what_is_there_is_enough_to_the_last_word(self, knob):
        need = next(need for need in usage(NETWORK, self.config) if need.knob == knob)
        assert need.fits
        pack(NETWORK, dataclasses.replace(self.config, **{knob: need.used}))


class TestConfigFor:
    @examples(60)
    @given(recipe=recipes(150), lanes=st.integers(1, 64), groups=st.integers(1, 4))
    def test_memories_are_powers_of_two_and_none_could_be_halved(self, recipe, lanes, groups):
        network = random_network(recipe, 1)
        config = config_for(network, lanes=lanes, groups=groups, entry_bits=recipe.code_bits + 4)
        for need in usage(network, config):
            depth = getattr(config, need.knob)
            assert depth & (depth - 1) == 0
            assert need.fits
            assert depth == 2 or need.used > depth // 2

    def test_takes_knobs_as_they_are_and_widths_from_the_network(self):
        config = config_for(NETWORK, lanes=3, queue_depth=6, entry_depth=4096)
        assert (config.lanes, config.queue_depth, config.entry_depth) == (3, 6, 4096)
        assert config.activation_bits == NETWORK.activation_bits
        pack(NETWORK, config)

    def test_a_network_that_no_configuration_holds(self):
        network = random_network(Recipe(sizes=[40_000, 2], density=0.001), 1)
        with pytest.raises(BadInput) as error:
            config_for(network, lanes=1)
        assert str(error.value) == (
            "layer layer0: 40002 activation words per group and vector are needed, more than any "
            "configuration has (32768); more lanes or groups take fewer each"
        )

    def test_what_no_lanes_would_help(self):
        network = network_of(*(layer_of(1, 1, codebook=np.arange(256)) for _ in range(17)))
        for use in (
            lambda: config_for(network, lanes=1),
            lambda: pack(network, dataclasses.replace(TINY, layer_depth=17)),
        ):
            with pytest.raises(BadInput) as error:
                use()
            assert str(error.value).endswith("more than any configuration has (4096)")
            assert "layer layer0: 4352 codebook values of all layers are needed, " in str(
                error.value
            )

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

    def test_all_that_is_wrong_is_named_at_once(self):
        config = dataclasses.replace(config_for(NETWORK, lanes=4), accumulator_bits=22)
        with pytest.raises(BadInput, match=r"bits would fit; layer .* entry_depth = \d+ would do"):
            pack(NETWORK, dataclasses.replace(config, entry_depth=2))
        with pytest.raises(BadInput, match=r"8-bit ones.*coding; .*do not fit into the"):
            pack(
                changed(1, codebook=np.arange(32)),
                dataclasses.replace(config, activation_bits=8, entry_bits=4),
            )

    def test_an_accumulator_that_could_overflow(self):
        config = dataclasses.replace(config_for(NETWORK, lanes=4), accumulator_bits=22)
        with pytest.raises(
            BadInput,
            match=r"layer '?layer0'?, row \d+: a sum can reach -?\d+, which "
            r"does not fit in 22 accumulator bits; \d+ bits would fit",
        ):
            pack(NETWORK, config)
