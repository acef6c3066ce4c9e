"""Faults of the engine around the processing elements."""

__all__ = ["FAULTS"]

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
    ("engine/grid.py", "tests/hw/engine/test_grid.py"): (
        (
            "a token is taken when one lane has room for it",
            "Cat(element.room for element in lanes).all()",
            "Cat(element.room for element in lanes).any()",
        ),
        ("a released buffer counts as full for another cycle", "every & ~released", "every"),
    ),
    ("engine/positions.py", "tests/hw/engine/test_positions.py"): (
        (
            "a lane beyond the last is not carried",
            "place.word + step.word + over",
            "place.word + step.word",
        ),
        ("a lane beyond the last stays what it is", "lane - over * config.lanes", "lane"),
        (
            "a loop steps before those in it have ended",
            "with m.If(below & ~ended):",
            "with m.If(~ended):",
        ),
        ("a loop that has ended does not start again", "m.d.sync += count.eq(0)", "pass"),
        ("a loop goes round once too seldom", "count == repeat", "count + 1 == repeat"),
        (
            "the walk goes on after its last vector",
            "with m.If(taken & below):\n            m.d.sync += self.o.valid.eq(0)",
            "with m.If(0):\n            m.d.sync += self.o.valid.eq(0)",
        ),
        (
            "rows of the plane are not followed",
            "position.y.eq(position.y + step.y)",
            "position.y.eq(position.y)",
        ),
    ),
    ("engine/segments.py", "tests/hw/engine/test_segments.py"): (
        ("what lies above or below the plane is not padding", "(y < self.patch.height) & ", ""),
        ("what lies beside the plane is not padding", " & (x < self.patch.width)", ""),
        ("the plane is a row too high", "y < self.patch.height", "y <= self.patch.height"),
        ("the plane is a column too wide", "x < self.patch.width", "x <= self.patch.width"),
        ("what fills a table up is a segment", "segment.used & ", ""),
        (
            "the last segment is left out if it is padding",
            "valid & (inside | last)",
            "valid & inside",
        ),
        ("no segment is left out", "valid & (inside | last)", "valid"),
        (
            "an empty segment has words",
            "Mux(inside, segment.words + over, 0)",
            "segment.words + over",
        ),
        (
            "a segment ends with the word in which it would if aligned",
            "segment.words + over,",
            "segment.words,",
        ),
        ("the column of a segment is that of its word", "segment.column - first", "segment.column"),
        (
            "every patch but the first begins with the table",
            "Mux(at_last, self.patch.segment_base, index + 1)",
            "Mux(at_last, 0, index + 1)",
        ),
        ("a position has one segment", "self.i.ready.eq(free & at_last)", "self.i.ready.eq(free)"),
        (
            "segments wait for those before to be taken",
            "free.eq(~valid | next_free)",
            "free.eq(~valid)",
        ),
    ),
    ("engine/feeder.py", "tests/hw/engine/test_feeder.py"): (
        (
            "a vector that ends in zeros has no marker",
            "valid & (pending.any() | last)",
            "valid & pending.any()",
        ),
        (
            "the marker is a token like any other",
            "self.o.payload.null.eq(~pending.any())",
            "self.o.payload.null.eq(0)",
        ),
        ("activations before a segment belong to it", " & (run.first <= lane)", ""),
        ("a segment lacks lanes in all its words", "run.first.eq(0)", "run.first.eq(run.first)"),
        ("activations behind a segment belong to it", " & (~at_end | (run.final >= lane))", ""),
        (
            "the last activation of a segment does not belong to it",
            "run.final >= lane",
            "run.final > lane",
        ),
        (
            "a segment lacks lanes before its last word",
            "(~at_end | (run.final >= lane))",
            "(run.final >= lane)",
        ),
        ("padding has activations", "~run.empty & ", ""),
        ("a bubble between segments", "~reading | (read_next & at_end)", "~reading"),
        (
            "the columns of a segment's words are the same",
            "run.column.eq(run.column + lanes)",
            "run.column.eq(run.column)",
        ),
        (
            "every word of the last segment has a marker",
            "read_last.eq(run.last & at_end)",
            "read_last.eq(run.last)",
        ),
        ("every token of the last word has a marker", "last & ~more", "last"),
        ("an activation gets another's column", "column + index", "column"),
        (
            "a word of zeros has a cycle of its own",
            "fresh_valid & (fresh.any() | fresh_last)",
            "fresh_valid",
        ),
    ),
    ("engine/pool.py", "tests/hw/engine/test_pool.py"): (
        (
            "no forwarding at distance 1",
            "Mux(use_total, total[lane], Mux(use_written, written[lane], late))",
            "Mux(use_written, written[lane], late)",
        ),
        (
            "no forwarding at distance 2",
            "Mux(use_total, total[lane], Mux(use_written, written[lane], late))",
            "Mux(use_total, total[lane], late)",
        ),
        (
            "no forwarding at distance 3",
            "Mux(use_older, older[lane], stored[lane])",
            "stored[lane]",
        ),
        (
            "forwarding of what was not sent at distance 1",
            "use_total.eq(enables[2] & (rows[2] == rows[1]))",
            "use_total.eq(rows[2] == rows[1])",
        ),
        (
            "forwarding of what was not sent at distance 2",
            "use_written.eq(total_valid & (total_row == rows[1]))",
            "use_written.eq(total_row == rows[1])",
        ),
        (
            "forwarding of what was not sent at distance 3",
            "use_older.eq(written_valid & (written_row == rows[1]))",
            "use_older.eq(written_row == rows[1])",
        ),
        (
            "the first of a window is compared with nothing",
            "Mux(first | both[-1], word[lane], before)",
            "Mux(both[-1], word[lane], before)",
        ),
        ("a sum goes on from the window before", "Mux(first, half, known)", "known"),
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
        ("only one buffer is cleared after reset", "with m.If(drain.buffer):", "with m.If(1):"),
        (
            "every position of a window is stored",
            "stored.eq(row.valid & row.final)",
            "stored.eq(row.valid)",
        ),
        (
            "every position is the first of its window",
            "row.first.eq(window == 0)",
            "row.first.eq(1)",
        ),
        (
            "a window ends a position too early",
            "row.final.eq(window == store.window)",
            "row.final.eq(window + 1 == store.window)",
        ),
        (
            "the next window begins where the last one ended",
            "Mux(row.final, 0, window + 1)",
            "window + 1",
        ),
        ("a vector has one pixel", "with m.If(pixel == store.pixels):", "with m.If(1):"),
        ("pixels have no gap", "Mux(row.end, self.store.gap, 0)", "0"),
        ("a gap behind every row", "Mux(row.end, self.store.gap, 0)", "self.store.gap"),
        ("the bias is that of the row before", "stages[levels - 1].row", "stages[levels].row"),
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
    ),
    ("engine/sequencer.py", "tests/hw/engine/test_sequencer.py"): (
        (
            "a program without an end does not end",
            "instruction.last | (self.layer == self.config.layer_depth - 1)",
            "instruction.last",
        ),
        ("every other layer is the first", "m.d.comb += upcoming.eq(self.layer + 1)", "pass"),
        (
            "an instruction is read late",
            "self.layer_start.eq(1), upcoming.eq(self.layer + 1)",
            "self.layer_start.eq(1)",
        ),
    ),
    ("engine/counters.py", "tests/hw/engine/test_counters.py"): (
        ("counters go on from the layer before", "with m.If(self.start):", "with m.If(0):"),
    ),
    ("engine/host.py", "tests/hw/engine/test_host.py"): (
        (
            "the checksum knows the words but not their addresses",
            "crc.data.eq(address)",
            "crc.data.eq(bus.w_data)",
        ),
    ),
}
