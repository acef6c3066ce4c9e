"""The export with AXI, as its own folder's files alone have it, against the golden model."""

import dataclasses

import pytest

from hw.config import PRESETS
from hw.export import Export, stream_map, write
from sim import golden
from sim.bench.runner import run_verilog
from sim.random_network import Recipe, random_inputs, random_network
from sw.cli.export import stream_settings
from sw.pack import pack
from sw.words import image_words

CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=2, groups=2)
RECIPE = Recipe([37, 20, 11], density=0.3)
OTHER = Recipe([30, 9, 14], density=0.4)
VECTORS = 6


def case(recipe, seed):
    """An image; inputs and outputs of its network."""
    network = random_network(recipe, seed)
    x = random_inputs(recipe, VECTORS, seed)
    outputs = golden.run(network, x)[-1]
    return pack(network, CONFIG), {"inputs": x.tolist(), "outputs": outputs.tolist()}


def export_of(image):
    return Export("axi", CONFIG, image.contents, image.id, "net.thr", stream_settings(image))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "axi"
    write(export_of(case(RECIPE, 1)[0]), folder)
    return folder


def words_of(image, space):
    """All that software writes to run another network: (byte address, word) each."""
    settings = stream_settings(image)
    for first, words in image_words(image):
        window, unit = first >> 26, first >> 18 & 0xFF
        for offset, word in enumerate(words.tolist(), first & (1 << 18) - 1):
            yield space.word(window, unit, offset), word
    for unit, places in (
        (stream_map.Unit.INPUTS, settings.inputs_at),
        (stream_map.Unit.OUTPUTS, settings.outputs_at),
    ):
        for offset, place in enumerate(places):
            yield space.word(stream_map.WINDOW, unit, offset), place
    names = [register.name for register in stream_map.REGISTERS]
    # The one that switches the streams on is the first of them.
    for name in reversed(settings.registers):
        word = settings.registers[name]
        yield space.word(stream_map.WINDOW, stream_map.Unit.REGISTERS, names.index(name)), word


def test_axi(folder):
    """Registers, strobes, bursts of vectors, spoiled vectors, another network: see the bench."""
    _, resident = case(RECIPE, 1)
    other_image, other = case(OTHER, 2)
    space = export_of(other_image).space
    words = [(4 * address, word) for address, word in words_of(other_image, space)]
    run_verilog(
        (folder / "thresher.v").read_text,
        module="sim.bench.export.axi",
        name="thresher",
        env={
            "regmap": str(folder / "regmap.json"),
            **resident,
            "other": {"words": words, **other},
        },
        files=sorted(folder.glob("*.mem")),
    )
