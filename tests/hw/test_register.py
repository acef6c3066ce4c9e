"""Fields of registers: in words, in hardware, in sentences."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.register import Field, Register, as_data, places

REGISTER = Register(
    "mode",
    "rw",
    "how",
    fields=(Field("on", 1, 1, "runs"), Field("speed", 4, 3, "of it"), Field("end", 31, 1, "")),
)


def test_bits_of_a_word():
    on, speed, end = REGISTER.fields
    assert (on.mask, speed.mask, end.mask) == (2, 0x70, 1 << 31)
    assert (on.of(0xFFFFFFFD), speed.of(0x8000005F), end.of(1 << 31)) == (0, 5, 1)


def test_a_word_of_values():
    values = {"on": Signal(1), "speed": Signal(3), "end": Signal(1)}
    word = Signal(32)
    m = Module()
    m.d.comb += word.eq(REGISTER.word(**values))

    async def bench(ctx):
        for fields in ((1, 5, 0), (0, 7, 1), (1, 0, 1)):
            for name, value in zip(values, fields, strict=True):
                ctx.set(values[name], value)
            await ctx.delay(1e-9)
            found = ctx.get(word)
            assert tuple(field.of(found) for field in REGISTER.fields) == fields
            assert not found & ~sum(field.mask for field in REGISTER.fields)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_word_takes_its_own_fields_alone():
    own = {"on": Signal(), "speed": Signal(3), "end": Signal()}
    with pytest.raises(ValueError, match="mode: colour: its fields are on, speed, end"):
        REGISTER.word(**own, colour=Signal())
    with pytest.raises(ValueError, match="mode: end, speed: its fields are"):
        REGISTER.word(on=Signal())
    with pytest.raises(ValueError, match="mode: speed has 3 bits"):
        REGISTER.word(**own | {"speed": Signal(4)})


def test_sentences():
    assert REGISTER.doc == "how; bit 1, on: runs; bits 6..4, speed: of it; bit 31, end: "
    assert Register("r", "ro", "what").doc == "what"


def test_access_is_that_of_the_register_or_the_fields_own():
    fields = (Field("on", 0, 1, "runs"), Field("late", 1, 1, "it was", "w1c"))
    register = Register("mode", "rw", "", guarded=True, fields=fields)
    assert register.doc == "bit 0, on: runs; bit 1, late: it was (write 1 to clear)"
    mode, number = as_data([register, Register("number", "ro", "")], [4, 8])
    assert [field["access"] for field in mode["fields"]] == ["rw", "w1c"]
    assert (mode["guarded"], number["guarded"]) == (True, False)


def test_places():
    assert places([REGISTER, Register("r", "ro", "")]) == {"mode": 0, "r": 1}
