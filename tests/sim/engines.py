"""Engines that the agreement tests run on."""

from hw.boards import BOARDS
from hw.config import PRESETS, AcceleratorConfig

# Each differs from the others in what it exercises: one lane, groups that divide nothing, a queue
# with hardly any place, narrow and wide numbers, entries of other widths, many lanes. The last are
# the boards'.
_ROOMY = {
    "segment_depth": 512,
    "activation_depth": 2048,
    "codebook_depth": 1024,
    "layer_depth": 16,
}
ENGINES = {
    "tiny": PRESETS["tiny"],
    "one lane": AcceleratorConfig(
        lanes=1,
        queue_depth=6,
        entry_bits=16,
        entry_depth=1 << 16,
        column_depth=2048,
        accumulator_depth=1024,
        bias_depth=2048,
        **(_ROOMY | {"activation_depth": 8192}),
    ),
    "three lanes, two groups": AcceleratorConfig(
        lanes=3,
        groups=2,
        queue_depth=6,
        entry_bits=10,
        entry_depth=1 << 16,
        column_depth=1024,
        accumulator_depth=256,
        bias_depth=1024,
        **_ROOMY,
    ),
    "five lanes, three groups, 8-bit activations": AcceleratorConfig(
        lanes=5,
        groups=3,
        activation_bits=8,
        accumulator_bits=36,
        entry_bits=12,
        entry_depth=1 << 14,
        column_depth=512,
        accumulator_depth=128,
        bias_depth=512,
        **_ROOMY,
    ),
    **{name: PRESETS[name] for name in sorted({board.preset for board in BOARDS.values()})},
}


def widths(name: str) -> dict[str, int]:
    """Of the numbers of an engine, as networks for it are to have them."""
    config = ENGINES[name]
    names = ("activation_bits", "weight_bits", "accumulator_bits")
    return {each: getattr(config, each) for each in names}
