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
        (
            "lanes do not carry into words as bits",
            "both[len(place.lane) :]",
            "place.word + step.word",
        ),
        ("a lane beyond the last stays what it is", "lane - over * lanes", "lane"),
        (
            "a loop steps before those in it have ended",
            "goes_on[level].eq(below & ~ended)",
            "goes_on[level].eq(~ended)",
        ),
        (
            "a loop that has ended does not start again",
            "Mux(ended, repeat == 0, left == 1)",
            "ended | (left == 1)",
        ),
        ("a loop goes round once too seldom", "left == 1)", "left == 2)"),
        (
            "a loop that goes round once goes round for ever",
            "ended.eq(repeat == 0)",
            "ended.eq(0)",
        ),
        (
            "a loop that goes round once does so for the first time only",
            "Mux(ended, repeat == 0, left == 1)",
            "Mux(ended, 0, left == 1)",
        ),
        (
            "a layer has a vector too many",
            "vectors.eq(self.vectors - 1)",
            "vectors.eq(self.vectors)",
        ),
        ("the walk goes on after its last vector", "self.o.valid.eq(~last)", "self.o.valid.eq(1)"),
        (
            "the first step of a layer is not known beforehand",
            "self._look_ahead(m, self.start | taken,",
            "self._look_ahead(m, taken,",
        ),
        (
            "loops go on while a position waits",
            "self._look_ahead(m, self.start | taken,",
            "self._look_ahead(m, self.start | self.o.valid,",
        ),
        (
            "a layer begins with the loops of the one before",
            "with m.Elif(~self.o.valid):",
            "with m.Elif(0):",
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
            "a segment ends with the word in which it would if aligned",
            "run.words.eq(segment.words + over)",
            "run.words.eq(segment.words)",
        ),
        ("the column of a segment is that of its word", "segment.column - first", "segment.column"),
        (
            "every patch but the first begins with the table",
            "index.eq(base)",
            "index.eq(base & self.start.replicate(len(base)))",
        ),
        ("a patch of one segment has others", "at_last.eq(base == end)", "at_last.eq(0)"),
        (
            "a patch ends a segment too late",
            "at_last.eq(index + 1 == end)",
            "at_last.eq(index == end)",
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
            "token.null.eq(~pending.any())",
            "token.null.eq(0)",
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
            "reading & (~self.behind | run.empty | (run.word < stored))",
            "reading",
        ),
        (
            "the word that is stored next is read",
            "run.word < stored",
            "run.word <= stored",
        ),
        (
            "a word is read when the one behind it is stored",
            "run.word < stored",
            "run.word + 1 < stored",
        ),
        ("padding waits for what is stored", "~self.behind | run.empty", "~self.behind"),
        (
            "words wait for a layer that is stored",
            "~self.behind | run.empty",
            "run.empty",
        ),
        ("a word that is to wait is replaced", "word_take.eq(take)", "word_take.eq(1)"),
        ("a word is read while one waits", "word_enable.eq(read_next)", "word_enable.eq(1)"),
        (
            "segments of one word have two",
            "segments.payload.empty | (segments.payload.words == 0)",
            "segments.payload.empty",
        ),
        (
            "an empty segment has words",
            "segments.payload.empty | (segments.payload.words == 0)",
            "segments.payload.words == 0",
        ),
        ("segments have a word too many", "at_end.eq(run.words == 1)", "at_end.eq(run.words == 0)"),
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
