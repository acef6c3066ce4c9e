"""What can be chosen about an accelerator: one frozen object, and the presets of the boards."""

import dataclasses
import hashlib
import json

__all__ = ["MEMORY_DEPTHS", "PRESETS", "QUEUE_RESERVE", "AcceleratorConfig", "ConfigError"]


class ConfigError(ValueError):
    """A knob has a value with which no accelerator can be built."""


QUEUE_RESERVE = 5
"""Places of a queue that are kept for the columns that may still arrive when the feeder is to stop.

It hears of it one cycle late, and so one is on its way to the pointer stage, one on its way into
the queue and three in between.
"""

# The least and the greatest value of every knob. Greatest values come from the bus address
# (`hw.layouts.address`), which gives a window 256 units of 2**18 words.
_LIMITS = {
    "lanes": (1, 64),
    "groups": (1, 64),
    "queue_depth": (QUEUE_RESERVE + 1, 1024),
    "activation_bits": (4, 16),
    "weight_bits": (4, 16),
    "accumulator_bits": (16, 48),
    "entry_bits": (1, 16),
    "entry_depth": (2, 1 << 18),
    "column_depth": (2, 1 << 18),
    "segment_depth": (2, 1 << 12),
    "activation_depth": (2, 1 << 15),
    "accumulator_depth": (2, 1 << 12),
    "codebook_depth": (2, 1 << 12),
    "bias_depth": (2, 1 << 16),
    "layer_depth": (2, 1 << 8),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """The independent knobs of an accelerator; everything else derives from them.

    Parameters
    ----------
    lanes : int
        Processing elements over which the output rows of a layer are spread; also the number of
        activations in an activation word.
    groups : int
        Sets of lanes over which the columns are spread; each has its own feeder and memory bank.
    queue_depth : int
        Places in a processing element's queue of non-empty columns. The feeder stops when no more
        than `QUEUE_RESERVE` are left, since as many columns may be on their way.
    activation_bits, weight_bits, accumulator_bits : int
        Width of signed activations, codebook values and accumulators.
    entry_bits : int
        Width of an entry: code and gap together.
    entry_depth, column_depth : int
        Entries and column pointers that one processing element holds, over all layers.
    segment_depth : int
        Segments of patches per group, over all layers (see `hw.layouts.segment`).
    activation_depth : int
        Activation words per group.
    accumulator_depth : int
        Output rows per lane that one instruction computes.
    codebook_depth, bias_depth : int
        Codebook values, and output rows per lane, over all layers.
    layer_depth : int
        Instructions in the program.
    shared_tables : bool
        Whether an element has its pointers and its codebook in one memory with two read ports.
        That spares a block RAM where those have two full ports, as Xilinx's do; the codebook's
        depth must be a power of two.

    Raises
    ------
    ConfigError
        If a knob is not an integer within its limits, or `shared_tables` does not go with the
        codebook's depth.
    """

    lanes: int
    groups: int = 1
    queue_depth: int = 32
    activation_bits: int = 16
    weight_bits: int = 16
    accumulator_bits: int = 32
    entry_bits: int = 9
    entry_depth: int
    column_depth: int
    segment_depth: int
    activation_depth: int
    accumulator_depth: int
    codebook_depth: int
    bias_depth: int
    layer_depth: int = 16
    shared_tables: bool = False

    def __post_init__(self) -> None:
        for knob, (least, greatest) in _LIMITS.items():
            value = getattr(self, knob)
            if type(value) is not int or not least <= value <= greatest:
                raise ConfigError(f"{knob} is {value!r}; it must be from {least} to {greatest}")
        if type(self.shared_tables) is not bool:
            raise ConfigError(f"shared_tables is {self.shared_tables!r}; it must be True or False")
        if self.shared_tables and self.codebook_depth & (self.codebook_depth - 1):
            raise ConfigError(
                f"codebook_depth is {self.codebook_depth}; with shared_tables it must be a power "
                "of two"
            )
        if self.elements > 256:
            raise ConfigError(f"lanes × groups is {self.elements}; it must be at most 256")

    @staticmethod
    def limits(knob: str) -> tuple[int, int]:
        """The least and the greatest value of a knob."""
        return _LIMITS[knob]

    @property
    def elements(self) -> int:
        """Processing elements, which is also the number of multipliers."""
        return self.lanes * self.groups

    @property
    def digest(self) -> int:
        """32 bits that tell this configuration from every other."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


MEMORY_DEPTHS = tuple(
    field.name
    for field in dataclasses.fields(AcceleratorConfig)
    if field.name.endswith("_depth") and field.name != "queue_depth"
)
"""The knobs that say how much the memories hold; cycles do not depend on them."""

PRESETS = {
    # Small enough that one simulated network takes milliseconds.
    "tiny": AcceleratorConfig(
        lanes=4,
        entry_depth=512,
        column_depth=256,
        segment_depth=64,
        activation_depth=256,
        accumulator_depth=16,
        codebook_depth=64,
        bias_depth=64,
        layer_depth=8,
    ),
    "arty_a7_35t": AcceleratorConfig(
        lanes=8,
        groups=4,
        entry_bits=9,
        entry_depth=2048,
        column_depth=768,
        segment_depth=64,
        activation_depth=512,
        accumulator_depth=32,
        codebook_depth=256,
        bias_depth=128,
        shared_tables=True,
    ),
    "arty_a7_100t": AcceleratorConfig(
        lanes=8,
        groups=4,
        entry_bits=12,
        entry_depth=4096,
        column_depth=1024,
        segment_depth=128,
        activation_depth=512,
        accumulator_depth=32,
        codebook_depth=1024,
        bias_depth=256,
    ),
    "ulx3s_85f": AcceleratorConfig(
        lanes=4,
        groups=4,
        entry_bits=10,
        entry_depth=3072,
        column_depth=1024,
        segment_depth=64,
        activation_depth=512,
        accumulator_depth=32,
        codebook_depth=1024,
        bias_depth=256,
    ),
    # Of every board with an LFE5U-25F.
    "ecp5_25f": AcceleratorConfig(
        lanes=4,
        groups=2,
        entry_bits=9,
        entry_depth=2048,
        column_depth=1024,
        segment_depth=64,
        activation_depth=1024,
        accumulator_depth=32,
        codebook_depth=256,
        bias_depth=256,
    ),
    "ice40up5k": AcceleratorConfig(
        lanes=1,
        queue_depth=16,
        weight_bits=8,
        accumulator_bits=28,
        entry_bits=8,
        entry_depth=65536,
        column_depth=2048,
        segment_depth=16,
        activation_depth=1024,
        accumulator_depth=128,
        codebook_depth=128,
        bias_depth=512,
    ),
    "ice40hx8k": AcceleratorConfig(
        lanes=1,
        queue_depth=6,
        activation_bits=8,
        weight_bits=8,
        accumulator_bits=24,
        entry_bits=8,
        entry_depth=3584,
        column_depth=1024,
        segment_depth=16,
        activation_depth=1024,
        accumulator_depth=128,
        codebook_depth=256,
        bias_depth=256,
        layer_depth=8,
    ),
    "gw1nr_9": AcceleratorConfig(
        lanes=1,
        weight_bits=8,
        accumulator_bits=28,
        queue_depth=8,
        entry_bits=9,
        entry_depth=10240,
        column_depth=2048,
        segment_depth=16,
        activation_depth=1024,
        accumulator_depth=256,
        codebook_depth=128,
        bias_depth=512,
    ),
}
