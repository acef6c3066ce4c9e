"""Faults of the engine around the processing elements."""

__all__ = ["FAULTS"]

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
    ("engine/writeback.py", "tests/sim/test_engine.py::test_aborts[tiny]"): (
        (
            "an aborted position is drained in the next run",
            "draining, released, soon, last_position = Signal(), ",
            "draining, released, soon, last_position = Signal(reset_less=True), ",
        ),
    ),
    ("engine/grid.py", "tests/hw/engine/test_grid.py"): (
        (
            "a token is taken when one lane has room for it",
            "Cat(element.room for element in lanes).all()",
            "Cat(element.room for element in lanes).any()",
        ),
        ("a released buffer counts as full for two more cycles", "every & ~released", "every"),
        (
            "a released buffer counts as full in the next cycle",
            "(self.drain.release & (self.drain.buffer == buffer)) | (",
            "(0) | (",
        ),
        (
            "a released buffer counts as full in the second cycle after",
            "drain.release & (drain.buffer == buffer)\n            )",
            "0\n            )",
        ),
        ("elements do not know of joined buffers", "joined.eq(self.joined)", "joined.eq(0)"),
        (
            "full when one element is",
            "Cat(element.full[buffer] for element in elements).all()",
            "Cat(element.full[buffer] for element in elements).any()",
        ),
        (
            "the high bit of a code is part of the gap",
            "code_mask.eq((1 << self.code_bits) - 1)",
            "code_mask.eq(((1 << self.code_bits) - 1) >> 1)",
        ),
    ),
    ("engine/pool.py", "tests/hw/engine/test_pool.py"): (
        (
            "no forwarding of the word that is as near as it may be",
            "range(self.config.groups, 5)",
            "range(self.config.groups + 1, 5)",
        ),
        (
            "no forwarding at distance 1",
            "Mux(use[1] & ~first, total[lane], known[lane]) if 1 in use else known[lane]",
            "known[lane]",
        ),
        ("no forwarding at distance 2", "Mux(use[age], ", "Mux(use[age] if age != 2 else 0, "),
        ("no forwarding at distance 3", "Mux(use[age], ", "Mux(use[age] if age != 3 else 0, "),
        (
            "no forwarding at distance 4",
            "range(self.config.groups, 5)",
            "range(self.config.groups, 4)",
        ),
        (
            "of several totals the oldest is forwarded",
            "sorted(use.keys() - {1}, reverse=True)",
            "sorted(use.keys() - {1})",
        ),
        (
            "forwarding of what was not sent",
            "enables[cycle + age] & (rows[cycle + age] == rows[cycle])",
            "rows[cycle + age] == rows[cycle]",
        ),
        (
            "forwarding from one row to another",
            "enables[cycle + age] & (rows[cycle + age] == rows[cycle])",
            "enables[cycle + age]",
        ),
        (
            "the first of a window is compared with nothing",
            "Mux(first | both[-1], word, before)",
            "Mux(both[-1], word, before)",
        ),
        ("a sum goes on from the window before", "Mux(firsts[2], half, newest)", "newest"),
        ("a sum goes on from the word before", "use[1] & ~first", "use[1]"),
        ("means are rounded down", "half.eq((1 << self.average_shift) >> 1)", "half.eq(0)"),
    ),
    ("engine/writeback.py", "tests/hw/engine/test_writeback.py"): (
        (
            "saturation one below the highest activation",
            "Mux(negative, -high - 1, high)",
            "Mux(negative, -high - 1, high - 1)",
        ),
        (
            "saturation starts a bit too high",
            "shifted[self.config.activation_bits - 1 :]",
            "shifted[self.config.activation_bits :]",
        ),
        ("words of all groups go to the first", "group.rotate_left(1)", "group"),
        (
            "the groups' least total is taken",
            "Mux(both[-1], pair[1], pair[0])",
            "Mux(both[-1], *pair)",
        ),
        ("the groups are never compared", "Mux(self.across, greater, both)", "both"),
        (
            "a position is not drained after its release",
            "draining | self.full.bit_select(drain.buffer, 1)",
            "self.full.bit_select(drain.buffer, 1)",
        ),
        ("every row after a release is one", "soon & ~released", "soon"),
        (
            "what is not pooled is stored once more by a layer that pools",
            "self._delay(m, pooled, Pool.LATENCY)",
            "self._delay(m, ready, Pool.LATENCY)",
        ),
        (
            "only one buffer is cleared after reset",
            "with m.If(number.all()):",
            "with m.If(number[:-1].all()):",
        ),
        (
            "joined rows are all in the buffer of the marker",
            "Mux(store.joined, number[-1], drain.buffer)",
            "drain.buffer",
        ),
        (
            "buffers do not take turns",
            "Mux(store.joined, number[-1], drain.buffer)",
            "number[-1]",
        ),
        (
            "a layer is what the instruction says, started or not",
            "with m.If(self.start):\n            m.d.sync += [store.eq(self.store)",
            "if True:\n            m.d.sync += [store.eq(self.store)",
        ),
        (
            "a layer ends before its last pixel",
            "last &= ended",
            "last &= ended if name != 'pixel' else 1",
        ),
        (
            "a layer ends before its last vector",
            "last &= ended",
            "last &= ended if name != 'vector' else 1",
        ),
        (
            "a pixel ends before the last position of its window",
            "last &= ended",
            "last &= ended if name != 'position' else 1",
        ),
        (
            "a layer has a vector too many",
            "vectors.eq(self.vectors - 1)",
            "vectors.eq(self.vectors)",
        ),
        (
            "a layer is fed with every row of its last position",
            "self.fed.eq(~draining & last_position)",
            "self.fed.eq(last_position)",
        ),
        (
            "a position is released a row too late",
            "early = DrainSignature.RELEASED_EARLY + 1",
            "early = DrainSignature.RELEASED_EARLY",
        ),
        (
            "a position of few rows is not released",
            "Mux(self.store.rows > early, self.store.rows - early, 0)",
            "self.store.rows - early",
        ),
        (
            "every position of a window is stored",
            "stored.eq(row.valid & row.final)",
            "stored.eq(row.valid)",
        ),
        (
            "every position is the first of its window",
            "row.first.eq(first)",
            "row.first.eq(1)",
        ),
        (
            "a window ends a position too early",
            "row.final.eq(ends[0])",
            "row.final.eq(ends[1])",
        ),
        ("the next window begins where the last one ended", "first.eq(ends[0])", "first.eq(0)"),
        (
            "a loop that starts again goes round but once",
            "next_time(repeat, left, ended)",
            "next_time(0, left, ended)",
        ),
        ("pixels have no gap", "Mux(row.end, store.gap, 0)", "0"),
        ("a gap behind every row", "Mux(row.end, store.gap, 0)", "store.gap"),
        (
            "the bias is that of the row before",
            "stages[biased - LaneWriteBack.BIAS_EARLY]",
            "stages[biased - LaneWriteBack.BIAS_EARLY + 1]",
        ),
        (
            "the bias is that of the row behind",
            "stages[biased - LaneWriteBack.BIAS_EARLY]",
            "stages[biased - LaneWriteBack.BIAS_EARLY - 1]",
        ),
    ),
    ("engine/activations.py", "tests/hw/engine/test_activations.py"): (
        (
            "a host write goes to all parts of a word",
            "selected & (address.offset[:part_bits] == part)",
            "selected",
        ),
        (
            "what is for all groups goes to none",
            "((address.unit == self.unit) | (address.unit == layouts.ALL_UNITS))",
            "(address.unit == self.unit)",
        ),
        ("what is read is taken at once", "enable=self.take", "enable=1"),
        ("a word is read over one that is to stay", "read.en.eq(self.enable)", "read.en.eq(1)"),
    ),
    ("engine/sequencer.py", "tests/hw/engine/test_sequencer.py"): (
        (
            "a program without an end does not end",
            "instruction.last | (self.layer == self.config.layer_depth - 1)",
            "instruction.last",
        ),
        (
            "the next layer is always the second",
            "upcoming.eq(self.layer + 1)",
            "upcoming.eq(1)",
        ),
        (
            "an instruction is read late",
            'Mux(fsm.ongoing("IDLE") | final, 0, upcoming)',
            'Mux(fsm.ongoing("IDLE") | self.feed_start | final, 0, upcoming)',
        ),
        (
            "the first instruction is read only after the end of a run",
            'fsm.ongoing("IDLE") | final',
            'fsm.ongoing("IDLE")',
        ),
        ("a layer is never ahead", "m.d.sync += self.ahead.eq(1)", "pass"),
        (
            "once ahead, always ahead",
            "m.d.sync += self.ahead.eq(0)",
            "pass",
        ),
        (
            "write-back begins with a layer before it is done with the one before",
            "self.store_start.eq(first)",
            "self.store_start.eq(1)",
        ),
        (
            "write-back is never told to begin with the second layer",
            "with m.If(self.stored & self.ahead):",
            "with m.If(0):",
        ),
        ("no layer but the first is fed", "with m.If(self.fed & ~final):", "with m.If(0):"),
        ("a layer behind the last is fed", "self.fed & ~final", "self.fed"),
        ("no layer but the last ends", "self.ended.eq(~first)", "self.ended.eq(0)"),
        ("a layer ends before the first", "self.ended.eq(~first)", "self.ended.eq(1)"),
        (
            "the layer that ends is the next one",
            "m.d.sync += self.ended_layer.eq(self.layer)",
            "m.d.comb += self.ended_layer.eq(self.layer)",
        ),
        (
            "cycles go on from the run before",
            "self.layer.eq(0), self.cycles.eq(0)",
            "self.layer.eq(0)",
        ),
    ),
    ("engine/counters.py", "tests/hw/engine/test_counters.py"): (
        (
            "counters go on from the layer before",
            "with m.If(self.start):\n                m.d.sync += counter.eq",
            "with m.If(0):\n                m.d.sync += counter.eq",
        ),
        (
            "a layer that starts when another ends misses its first cycle",
            "m.d.sync += counter.eq(step)",
            "m.d.sync += counter.eq(step & (~self.done).replicate(32))",
        ),
    ),
    ("engine/counters.py", "tests/hw/test_other_memories.py"): (
        (
            "in turns, a sum goes on from the layer before",
            "Mux(late.first, 0, read.data)",
            "read.data",
        ),
        (
            "in turns, a layer that had no turn yet ends with the sum of the one before",
            "Mux(ends, rests_first, first)",
            "Mux(ends, 0, first)",
        ),
        (
            "in turns, what is new is counted twice if its turn is when the layer ends",
            "moves.eq(~second & ~ends & ~self.done)",
            "moves.eq(~second & ~ends)",
        ),
        (
            "in turns, what counts while the layer before ends is lost",
            "m.d.sync += news[place].eq(news[place] + step)",
            "m.d.sync += news[place].eq(Mux(ends, 0, news[place] + step))",
        ),
        (
            "in turns, a sum is read instead of the counter",
            "with m.If(~second):\n            m.d.sync += self.value",
            "with m.If(1):\n            m.d.sync += self.value",
        ),
        (
            "in turns, the last goes to the layer after",
            "Cat(turn, to), part.sum_at",
            "Cat(turn, self.layer), part.sum_at",
        ),
    ),
    ("engine/transfer_crc.py", "tests/hw/engine/test_transfer_crc.py"): (
        (
            "the checksum knows the words but not their addresses",
            "self.began | self.ended",
            "self.ended",
        ),
        ("by bytes, the checksum forgets the last", "number == _BYTES - 1", "number == _BYTES - 2"),
        ("a transfer may begin while the bytes are taken", "self.busy.eq(1)", "self.busy.eq(0)"),
        (
            "by bytes, the word comes first",
            "Cat(self.address, self.word)",
            "Cat(self.word, self.address)",
        ),
    ),
    ("engine/host.py", "tests/hw/engine/test_host.py"): (
        (
            "the checksum is given no addresses",
            "crc.began.eq(began & ~own)",
            "crc.began.eq(0)",
        ),
        (
            "the checksum takes a read for a write",
            "Cat(self.load.address, Const(0, 1), written)",
            "self.load.address",
        ),
        (
            "the checksum knows nothing of what is read",
            "Mux(written, self.load.data, bus.r_data)",
            "self.load.data",
        ),
        ("the checksum takes itself in", "bus.acknowledge & ~own", "bus.acknowledge"),
        ("a window is written wherever it is", "with m.If(writable):", "with m.If(1):"),
        (
            "registers are not guarded",
            "with m.If(began & writable & bus.write)",
            "with m.If(began & bus.write)",
        ),
        ("what is above the guard is written", "& (address <= write_last)", ""),
        ("aborts are not counted", "with m.If(self.start | self.abort):", "with m.If(self.start):"),
        (
            "what lies beyond a memory is loaded into it",
            "(address.window == window) & (address.offset < items)",
            "(address.window == window)",
        ),
        (
            "the last word of every memory cannot be loaded",
            "address.offset < items",
            "address.offset + 1 < items",
        ),
        (
            "a memory ends where it would if every item took one word",
            "items = depth * layouts.stride(width)",
            "items = depth",
        ),
        ("a window's word is taken a cycle too early", 'm.next = "TAKE"', 'm.next = "ANSWER"'),
        (
            "a word is loaded again in every cycle until the next",
            ", self.load.windows.eq(0)]",
            "]",
        ),
    ),
    ("stream.py", "tests/hw/test_stream.py"): (
        ("what is kept back is lost", "Mux(full, kept, self.i.payload)", "self.i.payload"),
        (
            "what is kept comes for ever",
            "full.eq(self.o.valid & ~self.o.ready)",
            "full.eq(full | (self.o.valid & ~self.o.ready))",
        ),
        ("it takes more than it can keep", "self.i.ready.eq(~full)", "self.i.ready.eq(1)"),
        ("what is kept is replaced", "with m.If(~full):", "with m.If(1):"),
    ),
}
