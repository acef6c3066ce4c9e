"""The export with AXI, as its own folder's files alone have it, against the golden model."""

import dataclasses

from cases import Case, addresses

from hw.config import PRESETS
from hw.export import stream_map
from sim.bench.runner import run_verilog
from sim.random_network import Recipe
from sw.cli.export import stream_settings
from sw.words import image_words

CONFIG = dataclasses.replace(PRESETS["tiny"], lanes=2, groups=2)
RESIDENT = Case(CONFIG, Recipe([37, 20, 11], density=0.3), 1)
OTHER = Case(CONFIG, Recipe([200, 5, 3], density=0.1), 2)


def words_of(case):
    """All that software writes to run another network: (byte address, word) each."""
    settings, space = stream_settings(case.image), case.export("axi").space
    pairs = []
    for first, words in image_words(case.image):
        pairs += zip(addresses(space, first, len(words)), words.tolist(), strict=True)

    def streams(unit, offset):
        return 4 * space.word(stream_map.WINDOW, unit, offset)

    for unit, places in (
        (stream_map.Unit.INPUTS, settings.inputs_at),
        (stream_map.Unit.OUTPUTS, settings.outputs_at),
    ):
        pairs += [(streams(unit, offset), place) for offset, place in enumerate(places)]
    names = [register.name for register in stream_map.REGISTERS]
    # The one that switches the streams on is the first of them.
    pairs += [
        (streams(stream_map.Unit.REGISTERS, names.index(name)), settings.registers[name])
        for name in reversed(settings.registers)
    ]
    return pairs


def vectors(case):
    return {"inputs": case.inputs.tolist(), "outputs": case.outputs.tolist()}


def test_axi(tmp_path):
    """Registers, strobes, bursts of vectors, spoiled vectors, another network: see the bench."""
    folder = RESIDENT.written("axi", tmp_path / "export")
    run_verilog(
        (folder / "thresher.v").read_text,
        module="sim.bench.export.axi",
        name="thresher",
        env={
            "regmap": str(folder / "regmap.json"),
            **vectors(RESIDENT),
            "other": {"words": words_of(OTHER), **vectors(OTHER)},
        },
        files=sorted(folder.glob("*.mem")),
    )
