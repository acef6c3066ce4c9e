"""Faults of what feeds the processing elements."""

__all__ = ["FAULTS"]

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
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
        (
            "a loop that has ended does not start again",
            "with m.If(self.start | (taken & below & ended)):",
            "with m.If(self.start):",
        ),
        ("a loop goes round once too seldom", "ended.eq(left == 1)", "ended.eq(left == 2)"),
        (
            "a loop that goes round once goes round for ever",
            "ended.eq(repeat == 0)",
            "ended.eq(0)",
        ),
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
        ("activations before a segment belong to it", "(run.first <= lane) & ", ""),
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
        ("a bubble between segments", "~reading | (read_next & readable & at_end)", "~reading"),
        (
            "the columns of a segment's words are the same",
            "run.column.eq(run.column + lanes)",
            "run.column.eq(run.column)",
        ),
        (
            "every word of the last segment has a marker",
            "read.last.eq(run.last & at_end)",
            "read.last.eq(run.last)",
        ),
        ("every token of the last word has a marker", "last & ~more", "last"),
        ("an activation gets another's column", "column + index", "column"),
        (
            "a word of zeros has a cycle of its own",
            "fresh_valid & (fresh.any() | fresh_last)",
            "fresh_valid",
        ),
        (
            "words are read before they are stored",
            "reading & (~self.behind | run.empty | (run.word < self.stored))",
            "reading",
        ),
        (
            "the word that is stored next is read",
            "run.word < self.stored",
            "run.word <= self.stored",
        ),
        (
            "a word is read when the one behind it is stored",
            "run.word < self.stored",
            "run.word + 1 < self.stored",
        ),
        ("padding waits for what is stored", "~self.behind | run.empty", "~self.behind"),
        (
            "words wait for a layer that is stored",
            "~self.behind | run.empty",
            "run.empty",
        ),
        (
            "what is not read comes as a word",
            "read_valid.eq(readable)",
            "read_valid.eq(reading)",
        ),
        (
            "a word that waits is left out",
            "with m.Elif(read_next & readable):",
            "with m.Elif(read_next):",
        ),
        (
            "the last word of a segment is left out if it waits",
            "~reading | (read_next & readable & at_end)",
            "~reading | (read_next & at_end)",
        ),
    ),
}
