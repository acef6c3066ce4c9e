"""Faults of what exports put around the engine."""

__all__ = ["FAULTS"]

_AXI = "tests/hw/export/test_axi.py"
_STREAMS = "tests/hw/export/test_streams.py"
_LITEX = "tests/hw/export/test_litex.py::test_simulated[wishbone-wishbone]"

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
    ("export/axi_lite.py", _AXI): (
        ("some bytes of a word are written", "~strobes.all()", "~strobes.any()"),
        (
            "a write of no bytes is refused",
            "Mux(strobes.any(), _SLVERR, _OKAY)",
            "_SLVERR",
        ),
        (
            "a refused write is answered as if it were none",
            "Mux(strobes.any(), _SLVERR, _OKAY)",
            "_OKAY",
        ),
        ("an answer is withdrawn before it is taken", "with m.If(ready):", "with m.If(1):"),
        (
            "an answer is not waited for",
            "may_read = asked & ~self.rvalid",
            "may_read = asked",
        ),
        ("data of a write is not waited for", "addressed & filled &", "addressed &"),
    ),
    ("export/bus.py", _AXI): (
        ("who waits takes the answer", "(chosen == number)", "(1)"),
        ("another takes over in mid-transfer", "Mux(held, served, ", "Mux(0, served, "),
        (
            "no address means all groups",
            "Const(layouts.ALL_UNITS, wide",
            "Const(0, wide",
        ),
    ),
    ("export/receiver.py", _STREAMS): (
        (
            "gaps keep what the network before had there, if a vector was held",
            "with m.If(stale | ~self.enable):",
            "with m.If(0):",
        ),
        (
            "a vector is not dropped to its end",
            'with m.If(self.missing):\n                        m.next = "DROP"',
            'with m.If(self.missing):\n                        m.next = "RECEIVE"',
        ),
        (
            "an early end does not begin a new vector",
            "Mux(payload.last | last, 0, count + 1)",
            "Mux(last, 0, count + 1)",
        ),
        ("no end is missed", "last & ~payload.last", "0"),
        ("no end is early", "payload.last & ~last", "0"),
        (
            "the rest of a vector that was cut off is one",
            'with m.If(within):\n                    m.next = "DROP"',
            'with m.If(within):\n                    m.next = "RECEIVE"',
        ),
        (
            "vectors are taken while switched off",
            "ready.eq(self.enable), stored",
            "ready.eq(1), stored",
        ),
        ("the vector is overwritten while it is held", "with m.If(self.take):", "with m.If(1):"),
    ),
    ("export/runner.py", _STREAMS): (
        (
            "an engine that is busy is not waited for",
            '~self.engine_busy):\n                    m.next = "FIND"',
            '1):\n                    m.next = "FIND"',
        ),
        (
            "an activation is not held",
            "m.d.comb += self.o.valid.eq(1)\n            with m.If(self.o.ready):",
            "m.d.comb += self.o.valid.eq(1)\n            with m.If(1):",
        ),
        (
            "the last activation is marked a place early",
            "last = number == (self.outputs - 1)",
            "last = number == (self.outputs - 2)",
        ),
        ("all is written to the first group", "layouts.ALL_UNITS, group)", "layouts.ALL_UNITS, 0)"),
        ("the number of vectors is left as it was", '("vectors", 1)', '("scratch", 1)'),
        ("what is guarded stays guarded", '("write_first", 0)', '("scratch", 0)'),
    ),
    ("export/stream_registers.py", _STREAMS): (
        ("an error clears itself", "(errors & ~cleared) |", "0 |"),
        ("errors are cleared together", "STATUS.name]), ones, 0)", "STATUS.name]), 3, 0)"),
        ("words of all groups are not added up", "words.eq(room[", "words.eq(room[0 & "),
        (
            "more groups than there are",
            "self.groups <= most",
            "1",
        ),
        ("more words than have room", "(self.words, words),", ""),
        ("sizes that are not fit are not told", "unfit.eq(wanted & ~fit)", "unfit.eq(0)"),
    ),
    ("export/resident.py", _LITEX): (
        ("all activations lie in the low bits", "* _WORD_BYTES, bit)", "* _WORD_BYTES, 0)"),
        ("all vectors lie at the same place", "self.step * _WORD_BYTES", "0"),
    ),
    ("export/header.py", _LITEX): (
        ("bits are taken for activations", "{n}, {bit}}}", "{bit}, {n}}}"),
    ),
    ("export/wishbone.py", _LITEX): (
        ("what was given up is answered", "wanted & ~given_up", "wanted"),
        ("some bytes of a word are written", "~self.sel.all()", "0"),
        ("an error is not told", "self.err.eq(wanted)", "self.err.eq(0)"),
    ),
}
