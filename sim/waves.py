"""The signals of an engine that matter, as a save file for GTKWave beside the waves."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vcd.gtkw import GTKWSave

from hw.config import AcceleratorConfig

from .late_reset import INNER

__all__ = ["Trace", "groups", "save_file"]

_TOP = "engine"
_ENGINE = f"{_TOP}.{INNER}"

_ZOOM = -9.0  # about 200 cycles in a window

_MODULE = re.compile(r"^module \\?(\S+?)\s*\(")
_DECLARED = re.compile(r"^  (?:wire|reg) (?:signed )?(\[\d+:\d+\] )?\\?(\S+?)(?: =.*)?\s*;")


class Trace(NamedTuple):
    """A signal to show.

    Attributes
    ----------
    module, name : str
        Where it is in the Verilog.
    radix : str
        bin, dec, signed or hex.
    alias : str
        What to call it; GTKWave leaves out what is before a point.
    """

    module: str
    name: str
    radix: str
    alias: str

    @property
    def path(self) -> str:
        """Its name in the file of waves, but for the range of its bits."""
        return f"TOP.{self.module}.{self.name}"


def groups(config: AcceleratorConfig) -> Iterator[tuple[str, list[Trace]]]:
    """Headings, and what is shown under each: the engine, every group, every element."""
    yield "engine", _engine()
    yield "write-back", _writeback()
    for group in range(config.groups):
        yield f"group {group}: feeder and broadcast", _feeder(group)
    for element in range(config.elements):
        group, lane = divmod(element, config.lanes)
        yield f"element {element}: group {group}, lane {lane}", _element(element)


def save_file(waves: Path, config: AcceleratorConfig, verilog: str, start: int) -> str:
    """Text of the .gtkw file for a file of waves in the same folder; elements are folded.

    Parameters
    ----------
    verilog : str
        Of the engine. Yosys leaves out what is constant in an engine; so does this.
    start : int
        Nanoseconds at which to show the waves first.
    """
    ranges = _ranges(verilog)
    text = io.StringIO()
    save = GTKWSave(text)
    save.dumpfile(waves.name, abspath=False)
    save.timestart(start)
    save.zoom_markers(_ZOOM)
    save.size(1600, 1000)
    save.signals_width(250)
    save.treeopen("TOP.")
    save.treeopen(f"TOP.{_TOP}.")
    save.treeopen(f"TOP.{_ENGINE}.")
    for heading, traces in groups(config):
        with save.group(heading, closed=heading.startswith("element")):
            for trace in traces:
                bits = ranges.get((trace.module, trace.name))
                if bits is not None:
                    save.trace(trace.path + bits, alias=trace.alias, datafmt=trace.radix)
    return text.getvalue()


def _ranges(verilog: str) -> dict[tuple[str, str], str]:
    """The range of bits of every signal of every module, as GTKWave has it: nothing for one bit."""
    ranges, module = {}, ""
    for line in verilog.splitlines():
        if found := _MODULE.match(line):
            module = found[1]
        elif found := _DECLARED.match(line):
            ranges[module, found[2]] = (found[1] or "").strip()
    return ranges


def _within(module: str, signals: list[tuple[str, str, str]]) -> list[Trace]:
    return [Trace(f"{_ENGINE}.{module}", *signal) for signal in signals]


def _engine() -> list[Trace]:
    return [
        Trace(_TOP, "clk", "bin", "clk"),
        Trace(_TOP, "busy", "bin", "busy"),
        *_within(
            "sequencer",
            [
                ("fsm_state", "dec", "sequencer: 0 idle, 1 begin, 2 run"),
                ("layer", "dec", "layer"),
                ("cycles", "dec", "cycles"),
                ("feed_start", "bin", "feed_start"),
                ("fed", "bin", "fed"),
                ("store_start", "bin", "store_start"),
                ("stored", "bin", "stored"),
                ("ahead", "bin", "ahead: the layer before is not stored yet"),
            ],
        ),
        *_within(
            "grid",
            [
                ("busy", "dec", "busy elements"),
                ("stalled", "dec", "stalled elements"),
                ("full", "bin", "full buffers"),
            ],
        ),
    ]


def _writeback() -> list[Trace]:
    return _within(
        "writeback",
        [
            ("fsm_state", "dec", "write-back: 0 clear, 1 idle, 2 drain"),
            ("drain__enable", "bin", "drain enable"),
            ("drain__buffer", "bin", "drain buffer"),
            ("drain__place", "dec", "drain place"),
            ("drain__release", "bin", "drain release"),
            ("write_enable", "bin", "write_enable, a bit for each group"),
            ("write_index", "dec", "write_index"),
            ("write_word", "hex", "write_word"),
        ],
    )


def _feeder(group: int) -> list[Trace]:
    token = f"i__{group}__"
    return [
        *_within(
            f"feeder_{group}",
            [
                ("start", "bin", "start"),
                ("word_enable", "bin", "word_enable"),
                ("word_index", "dec", "word_index"),
            ],
        ),
        *_within(
            "grid",
            [
                (f"{token}valid", "bin", "token valid"),
                (f"{token}ready", "bin", "token ready"),
                (f"{token}payload.column", "dec", "token column"),
                (f"{token}payload.activation", "signed", "token activation"),
                (f"{token}payload.null", "bin", "token null"),
                (f"{token}payload.last", "bin", "token last"),
                (f"busy_{group}", "bin", "busy, a bit for each lane"),
                (f"stalled_{group}", "bin", "stalled, a bit for each lane"),
            ],
        ),
    ]


def _element(number: int) -> list[Trace]:
    element = f"grid.element_{number}"
    return [
        *_within(
            f"{element}.queue",
            [
                ("level", "dec", "queue level"),
                ("room", "bin", "queue room"),
                ("o__valid", "bin", "column valid"),
                ("o__ready", "bin", "column ready"),
            ],
        ),
        *_within(
            f"{element}.fetch",
            [
                ("busy", "bin", "busy"),
                ("stalled", "bin", "stalled"),
                ("o__valid", "bin", "entry valid"),
                ("o__payload.entry", "hex", "entry"),
            ],
        ),
        *_within(
            f"{element}.accumulate",
            [
                ("i__payload.weight", "signed", "weight"),
                ("i__payload.activation", "signed", "activation"),
                ("i__payload.row", "dec", "row"),
                ("goes_4", "bin", "accumulator write"),
                ("place_4", "dec", "accumulator place"),
                ("sum", "signed", "accumulator sum"),
                ("full", "bin", "full buffers"),
            ],
        ),
    ]
