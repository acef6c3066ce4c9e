"""The model of resources against the engines that were counted, and its fit against the truth."""

from __future__ import annotations

import dataclasses

import pytest

from hw.config import MEMORY_DEPTHS, PRESETS, AcceleratorConfig
from sw.resource_model import (
    FAMILIES,
    Counted,
    ResourceModel,
    counted_engines,
    fit,
    held_out_errors,
    memories,
    memory_bits,
)

TINY, ARTY = PRESETS["tiny"], PRESETS["arty_a7_35t"]
TRUE = ResourceModel("xc7", base=900.0, per_lane=210.0, per_group=330.0, per_element=250.0)


def shaped(lanes, groups, **knobs):
    return dataclasses.replace(ARTY, lanes=lanes, groups=groups, **knobs)


def engines(*shapes):
    return [Counted(config, TRUE.predict(config)) for config in (shaped(*s) for s in shapes)]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_fit_leaves_of_the_counted_engines(family):
    counted = counted_engines(family)
    assert len(counted) >= 4
    errors = fit(family, counted).errors(counted)
    assert errors["lut"] < 0.08
    assert errors[FAMILIES[family].block] < 0.08
    assert errors["dsp"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_each_counted_engine_is_predicted_from_the_others(family):
    """Even the largest and the smallest, beyond the shapes of the others: what explore states."""
    errors = held_out_errors(family, counted_engines(family))
    assert errors["lut"] < 0.25
    assert errors[FAMILIES[family].block] < 0.08
    assert errors["dsp"] == 0


def test_an_engine_that_is_unlike_the_others():
    """Fitted to, it seems less wrong than it is; and so it does if it has a twin."""
    others = engines((1, 1), (4, 1), (1, 4), (2, 2), (8, 1))
    truth = TRUE.predict(shaped(4, 4))
    odd = Counted(shaped(4, 4), truth | {"lut": truth["lut"] * 2})
    for counted in ([*others, odd], [*others, odd, odd]):
        assert held_out_errors("xc7", counted)["lut"] == pytest.approx(0.5, abs=0.01)
        assert fit("xc7", counted).errors([odd])["lut"] < 0.35


def test_one_engine_tells_nothing_of_errors():
    (one,) = engines((2, 2))
    assert held_out_errors("xc7", [one]) is None
    assert held_out_errors("xc7", [one, one]) is None


def test_a_fit_finds_the_coefficients():
    found = fit("xc7", engines((1, 1), (4, 1), (2, 2), (8, 4), (1, 4)))
    for name in ("base", "per_lane", "per_group", "per_element"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), abs=2)


def test_what_cannot_be_told_apart_is_left_out():
    """With one group, nothing tells groups from the base, or lanes from elements."""
    counted = engines((1, 1), (4, 1), (8, 1))
    found = fit("xc7", counted)
    assert sum(value == 0 for value in dataclasses.astuple(found)[1:]) == 2
    assert found.errors(counted)["lut"] < 0.001


def test_no_coefficient_is_negative():
    counted = [
        Counted(shaped(*shape), {"lut": luts, "bram36": 1, "dsp": 1})
        for shape, luts in (((1, 1), 9000), ((4, 1), 8000), ((2, 2), 8500), ((4, 4), 7000))
    ]
    assert min(dataclasses.astuple(fit("xc7", counted))[1:]) >= 0


def test_nothing_to_fit_to():
    with pytest.raises(ValueError, match="no engine was counted for ecp5"):
        fit("ecp5", [])


def test_memories_of_block_ram():
    """An xc7's memories by hand: 1,024 × 18 in a half, 512 × 72 in a whole."""

    def blocks(**knobs):
        return TRUE.predict(shaped(1, 1, **knobs))["bram36"]

    before = blocks(entry_bits=9, entry_depth=2048)
    assert blocks(entry_bits=9, entry_depth=4096) == before + 0.5
    assert blocks(entry_bits=16, entry_depth=2048) == before + 0.5
    assert blocks(entry_bits=9, entry_depth=32) == before - 0.5


def luts_of(config):
    return TRUE.predict(config)["lut"]


class TestDeepen:
    """Of the Arty's engine with shallow memories, as `sw.pack.config_for` makes them."""

    SHALLOW = shaped(4, 2, entry_depth=64, activation_depth=16, bias_depth=32, layer_depth=4)
    THERE = TRUE.predict(SHALLOW)

    def test_no_further_than_needed(self):
        assert TRUE.deepen(self.SHALLOW, self.THERE) == self.SHALLOW
        deeper = TRUE.deepen(self.SHALLOW, {"lut": self.THERE["lut"] - 1, "bram36": 50})
        changed = {k for k in MEMORY_DEPTHS if getattr(deeper, k) != getattr(self.SHALLOW, k)}
        assert len(changed) == 1
        (knob,) = changed
        depth = getattr(deeper, knob)
        before = dataclasses.replace(deeper, **{knob: depth // 2})
        assert luts_of(deeper) < self.THERE["lut"] <= luts_of(before)

    def test_the_first_spares_most_luts_for_a_block_ram(self):
        def rate(config):
            found = TRUE.predict(config)
            spared = self.THERE["lut"] - found["lut"]
            return spared / (found["bram36"] - self.THERE["bram36"]) if spared > 0 else 0

        deeper = TRUE.deepen(self.SHALLOW, {"lut": self.THERE["lut"] - 1, "bram36": 50})
        single = [
            dataclasses.replace(self.SHALLOW, **{knob: 1 << power})
            for knob in MEMORY_DEPTHS
            for power in range(12)
            if getattr(self.SHALLOW, knob) < 1 << power <= AcceleratorConfig.limits(knob)[1]
        ]
        assert rate(deeper) == pytest.approx(max(map(rate, single)))

    def test_block_ram_is_used_up_and_no_more(self):
        least = self.THERE["lut"]
        for blocks in range(int(self.THERE["bram36"]), 50):
            found = TRUE.predict(TRUE.deepen(self.SHALLOW, {"lut": 0, "bram36": blocks}))
            assert found["bram36"] <= max(blocks, self.THERE["bram36"])
            least = min(least, found["lut"])
        assert least < self.THERE["lut"] - 500
        assert TRUE.deepen(self.SHALLOW, {"lut": 0, "bram36": 0}) == self.SHALLOW


def test_queues_are_of_luts():
    few, many = (TRUE.predict(shaped(4, 2, queue_depth=depth)) for depth in (32, 256))
    assert few["bram36"] == many["bram36"]
    assert few["lut"] < many["lut"]
    assert few == TRUE.predict(shaped(4, 2, queue_depth=8))


def test_bits_of_memories():
    by_name = {memory.name: memory for memory in memories(TINY)}
    assert by_name["entries"].bits == 4 * 512 * TINY.entry_bits
    assert by_name["accumulators"].bits == 2 * 4 * (2 * 16) * 32  # two copies of two buffers
    assert by_name["codebook"].bits == 4 * 64 * 16
    assert memory_bits(TINY) == sum(memory.bits for memory in by_name.values())
