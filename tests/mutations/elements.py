"""Faults of the memories and of the processing elements."""

__all__ = ["FAULTS"]

_ABORTS = "tests/sim/test_engine.py::test_aborts[tiny]"

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
    ("memory.py", "tests/hw/pe/test_fetch.py"): (
        (
            "an element takes the entries of every unit",
            "selected &= self.load.address.unit == self.unit",
            "pass",
        ),
        (
            "a memory takes the words of every window",
            "selected = self.load.windows[self.window]",
            "selected = self.load.windows.any()",
        ),
    ),
    ("memory.py", "tests/hw/engine/test_segments.py"): (
        ("an item goes on while it is to stay", "with m.If(enable):", "with m.If(1):"),
    ),
    ("pe/tables.py", "tests/hw/pe/test_tables.py"): (
        (
            "a shared table takes the pointers of every unit",
            "load.windows[Window.POINTERS] & (load.address.unit == self.unit)",
            "load.windows[Window.POINTERS]",
        ),
        (
            "a shared table takes the codebook of its own unit only",
            "of_codebook.eq(load.windows[Window.CODEBOOK])",
            "of_codebook.eq(load.windows[Window.CODEBOOK] & (load.address.unit == self.unit))",
        ),
        (
            "a shared table is written in the cycle of the load",
            "m.d.sync += [\n            of_pointers",
            "m.d.comb += [\n            of_pointers",
        ),
        (
            "a separate codebook is that of its own unit",
            "Window.CODEBOOK, None, config.weight_bits",
            "Window.CODEBOOK, self.unit, config.weight_bits",
        ),
        (
            "a codebook begins within the pointers",
            "Const(base // codes, bits",
            "Const(base // codes - 1, bits",
        ),
        (
            "a codebook is loaded over the pointers",
            "behind(load.address.offset),",
            "load.address.offset,",
        ),
        (
            "codes are looked up among the pointers",
            "weight.addr.eq(behind(self.code))",
            "weight.addr.eq(self.code)",
        ),
        (
            "the codebook at power-up follows the pointers without a gap",
            "pointers + [0] * (base - len(pointers)) + codebook",
            "pointers + codebook",
        ),
    ),
    ("pe/pointers.py", "tests/hw/pe/test_pointers.py"): (
        (
            "a mere marker has the entries of the column that its token names",
            "Mux(found.null, 0, pointer.count)",
            "pointer.count",
        ),
        (
            "empty columns enter the queue",
            "found_valid & (count.any() | found.last)",
            "found_valid",
        ),
        (
            "markers without an entry are lost",
            "found_valid & (count.any() | found.last)",
            "found_valid & count.any()",
        ),
    ),
    ("pe/queue.py", "tests/hw/pe/test_element.py"): (
        (
            "the queue keeps no place for what is on its way",
            "queue_depth - QUEUE_RESERVE",
            "queue_depth",
        ),
    ),
    ("pe/queue.py", "tests/hw/pe/test_queue.py"): (
        (
            "the queue keeps one place too few",
            "queue_depth - QUEUE_RESERVE",
            "queue_depth - QUEUE_RESERVE + 1",
        ),
    ),
    ("pe/fetch.py", "tests/hw/pe/test_fetch.py"): (
        (
            "the next vector goes into the same buffer",
            "next_buffer.eq(next_buffer ^ self.i.payload.last)",
            "next_buffer.eq(next_buffer)",
        ),
        (
            "a mere marker is never done",
            "final.eq(self.i.payload.pointer.count <= 1)",
            "final.eq(self.i.payload.pointer.count == 1)",
        ),
        (
            "a column ends an entry too early",
            "final.eq(column.pointer.count == 2)",
            "final.eq(column.pointer.count == 3)",
        ),
        ("a mere marker counts as work", "self.busy.eq(active & ~null)", "self.busy.eq(active)"),
        (
            "a joined vector does not wait for the one before",
            "unreleased[0] & (alone | self.joined)",
            "unreleased[0] & alone",
        ),
        (
            "a vector does not wait for the joined one before",
            "unreleased[0] & (alone | self.joined)",
            "unreleased[0] & self.joined",
        ),
        (
            "vectors wait for one that was joined long ago",
            "m.d.sync += alone.eq(self.joined)",
            "m.d.sync += alone.eq(alone | self.joined)",
        ),
    ),
    ("pe/fetch.py", _ABORTS): (
        (
            "an aborted vector keeps its buffer",
            "unreleased = Signal(2)",
            "unreleased = Signal(2, reset_less=True)",
        ),
    ),
    ("pe/fetch.py", "tests/hw/pe/test_element.py"): (
        (
            "a third vector does not wait for a buffer",
            "unreleased[1] | (unreleased[0] & (alone | self.joined))",
            "unreleased[0] & (alone | self.joined)",
        ),
        (
            "joined vectors do not wait for each other",
            "unreleased[1] | (unreleased[0] & (alone | self.joined))",
            "unreleased[1]",
        ),
        (
            "a bubble between columns",
            "self.i.ready.eq((~active | final)",
            "self.i.ready.eq(~active",
        ),
    ),
    ("pe/decoder.py", "tests/hw/pe/test_decoder.py"): (
        (
            "a row further on is a row too near",
            "Cat(one, before) + Cat(one, gap)",
            "Cat(one, before) + Cat(first, gap)",
        ),
        (
            "the first row of a column follows that of the one before",
            "row | first.replicate(len(row))",
            "self.row",
        ),
        ("mere markers move on to another row", "self.i.valid & ~entry.null", "self.i.valid"),
        ("gaps are part of the code", "(self.entry & self.code_mask)", "self.entry"),
        ("every layer has the first codebook", "self.base | (self", "(self"),
        (
            "rows end with the first buffer",
            "m.d.sync += row.eq((Cat(one, before) + Cat(one, gap))[1:])",
            "m.d.sync += row.eq((Cat(one, before) + Cat(one, gap))[1:-2])",
        ),
    ),
    ("pe/accumulate.py", "tests/hw/pe/test_accumulate.py"): (
        ("no forwarding at distance 1", "other = [~same[1], ", "other = [1, "),
        ("no forwarding at distance 2", "Mux(same[2], 1, ", "Mux(0, 1, "),
        ("no forwarding at distance 3", "Mux(same[3], 2, ", "Mux(0, 2, "),
        ("no forwarding at distance 4", "Mux(same[4], 3, 0)", "0"),
        (
            "of several sums the oldest is forwarded",
            "Mux(same[2], 1, Mux(same[3], 2, Mux(same[4], 3, 0)))",
            "Mux(same[4], 3, Mux(same[3], 2, Mux(same[2], 1, 0)))",
        ),
        (
            "forwarding from one buffer to the other",
            "(place[age] == place[0])",
            "(place[age][:-1] == place[0][:-1])",
        ),
        (
            "forwarding of what was not added",
            "goes[age] & (place[age] == place[0])",
            "place[age] == place[0]",
        ),
        ("mere markers add", "self.i.valid & ~operand.null", "self.i.valid"),
        (
            "joined rows are in the buffer of the marker",
            "Mux(self.joined, operand.row[-1], operand.buffer)",
            "operand.buffer",
        ),
        (
            "rows are in the buffer that their high bit says, joined or not",
            "Mux(self.joined, operand.row[-1], operand.buffer)",
            "operand.row[-1]",
        ),
        ("draining does not clear", "to.data.eq(~clearing)", "to.data.eq(1)"),
        ("what is added to holds nothing", "to.data.eq(~clearing)", "to.data.eq(0)"),
        (
            "draining clears the other buffer",
            "clear & (cleared[-1] == buffer)",
            "clear & (cleared[-1] != buffer)",
        ),
        ("draining clears both buffers", "clear & (cleared[-1] == buffer)", "clear"),
        (
            "whatever is asked for is cleared",
            "clear & (cleared[-1] == buffer)",
            "(cleared[-1] == buffer)",
        ),
        (
            "what the other buffer holds is not known while one is drained",
            "drain.enable & (drain.place[-1] == buffer)",
            "drain.enable",
        ),
        (
            "what a buffer holds is not known while its place is said, drained or not",
            "drain.enable & (drain.place[-1] == buffer)",
            "(drain.place[-1] == buffer)",
        ),
        (
            "both buffers hold what is added to one",
            "(write & (written[-1] == buffer))",
            "write",
        ),
        (
            "what was there before it was cleared is added to",
            "nothing.eq((known == 0) & ~holds)",
            "nothing.eq(0)",
        ),
        (
            "what was there before it was cleared is drained",
            "nothing.eq(~holds[1])",
            "nothing.eq(0)",
        ),
        (
            "what is forwarded counts only if something is held",
            "nothing.eq((known == 0) & ~holds)",
            "nothing.eq(~holds)",
        ),
        (
            "whether anything is held is what the first buffer says",
            "Mux(buffer, held[1], held[0])",
            "held[0]",
        ),
        (
            "what is held is asked for with the buffer that is drained",
            "buffer.eq(place[-1])",
            "buffer.eq(drain.place[-1])",
        ),
        (
            "what is held is asked for with the buffer that is added to",
            "buffer.eq(place[-1])",
            "buffer.eq(added[-1])",
        ),
        (
            "full a cycle too early",
            "with m.If(coming[1]):",
            "with m.If(coming[0]):",
        ),
        (
            "full is the other buffer",
            "(self.i.payload.buffer == buffer)",
            "(self.i.payload.buffer != buffer)",
        ),
        (
            "both buffers are released",
            "self.drain.release & (self.drain.buffer == buffer)",
            "self.drain.release",
        ),
    ),
    ("pe/accumulate.py", "tests/hw/pe/test_element.py"): (
        ("a buffer is released a row too early", "RELEASED_EARLY = 4", "RELEASED_EARLY = 5"),
    ),
    ("pe/element.py", "tests/hw/pe/test_element.py"): (
        (
            "fetch does not know of joined buffers",
            "fetch.joined.eq(self.joined)",
            "fetch.joined.eq(0)",
        ),
        (
            "accumulators do not know of joined buffers",
            "accumulate.joined.eq(self.joined)",
            "accumulate.joined.eq(0)",
        ),
    ),
}
