"""The checked-in table of what the engine costs: sw/data/resources.json, and docs/resources.md."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hw import boards
from hw.boards import RESOURCES as _NAMES
from hw.config import PRESETS
from sim.engine import engine_netlist

from .blocks import blocks, count_block, logic_digest
from .boards import clocks

__all__ = [
    "PRESETS_COUNTED",
    "REWRITE",
    "ROUTED",
    "SECTIONS",
    "TOLERANCE",
    "VARIED",
    "count_preset",
    "differences",
    "document",
    "families",
    "is_stale",
    "merge_routes",
    "read_table",
    "stamp",
    "table_file",
    "used_words",
]

TOLERANCE = 0.03
REWRITE = "thresher bench resources --presets-only --write"
# Presets whose blocks are counted. Of the others' boards docs/boards.md has the whole designs.
PRESETS_COUNTED = ("tiny", "arty_a7_35t", "arty_a7_100t", "ulx3s_85f")
# Boards: the one whose engine is varied over lanes, and the one that is routed.
VARIED, ROUTED = "arty_a7_35t", "ulx3s_85f"
_VARIED_PRESET, _ROUTED_PRESET = (boards.BOARDS[name].preset for name in (VARIED, ROUTED))
# Sections of the table, and the presets on whose logic each depends.
SECTIONS = {
    "presets": PRESETS_COUNTED,
    "lanes": (_VARIED_PRESET,),
    "boards": tuple(name for name in PRESETS_COUNTED if name != "tiny"),
    "routed": (_ROUTED_PRESET,),
    "routed_lanes": (_VARIED_PRESET, _ROUTED_PRESET),
    "largest": (_VARIED_PRESET,),
}
_STALE = "*The hardware has changed since this was measured.*\n"
_FAMILIES = {"xc7": "Xilinx 7 series, `synth_xilinx`", "ecp5": "Lattice ECP5, `synth_ecp5`"}

Counts = Mapping[str, Mapping[str, Any]]  # block -> {"copies": n, "used": resource -> number}


def table_file() -> Path:
    """The file that holds the figures."""
    return Path(str(resources.files("sw").joinpath("data", "resources.json")))


def read_table() -> dict[str, Any]:
    """The checked-in figures; nothing in them if there are none yet."""
    file = table_file()
    table: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return table


@functools.cache
def stamp(section: str) -> str:
    """Digest of the logic that a section's figures depend on, as it is today."""
    digests = "\n".join(map(logic_digest, SECTIONS[section]))
    return hashlib.sha256(digests.encode()).hexdigest()


def is_stale(table: Mapping[str, Any], section: str) -> bool:
    """Whether the logic has changed since a section was measured."""
    return bool(table["measured"][section] != stamp(section))


def families(preset: str) -> tuple[str, ...]:
    """Families of the boards that a preset is for; that of no board is for all."""
    found = {board.family for board in boards.BOARDS.values() if board.preset == preset}
    return tuple(sorted(found)) or tuple(_FAMILIES)


def count_preset(
    preset: str, family: str, named: Callable[[str], bool] = lambda _name: True
) -> dict[str, dict[str, Any]]:
    """What a preset takes of a family, as the table has it.

    Each block by itself; of a preset of no board, which is small, the engine as a whole.

    Parameters
    ----------
    named : whether to count the block of that name
    """
    found = [board for board in boards.BOARDS.values() if board.preset == preset]
    if not found:
        return {"engine": {"copies": 1, "used": engine_netlist(PRESETS[preset], family).used}}
    return {
        name: {"copies": block.copies, "used": count_block(block, family)}
        for name, block in blocks(PRESETS[preset], found[0]).items()
        if named(name)
    }


def differences(where: str, counted: Counts, table: Counts) -> list[str]:
    """A sentence for each figure that is further from the table than `TOLERANCE`, copies at all.

    Only blocks that were counted are compared; one that the table lacks is a difference, too.

    Parameters
    ----------
    where : preset and family, for the sentences
    """
    found = []
    for name, row in counted.items():
        if name not in table:
            found.append(f"{where}: {name} is not in the table")
            continue
        if row["copies"] != (copies := table[name]["copies"]):
            found.append(f"{where}: copies of {name} are {row['copies']}, not {copies}")
        for resource, number in row["used"].items():
            before = table[name]["used"].get(resource, 0)
            if abs(number - before) > TOLERANCE * before:
                change = f" ({number / before - 1:+.1%})" if before else ""
                found.append(
                    f"{where}: {name} takes {number:,g} {_NAMES[resource]}, not {before:,g}{change}"
                )
    return found


def merge_routes(
    before: Iterable[Mapping[str, Any]], measured: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Engines that were routed, with the seeds of both; what was measured last counts.

    One that was routed with other options of nextpnr, too, is there twice.
    """
    merged: dict[tuple[int, int, str], dict[str, Any]] = {}
    for row in [*before, *measured]:
        engine = row["lanes"], row["groups"], row["options"]
        seeds = {each["seed"]: each for each in merged.get(engine, row)["seeds"]}
        seeds |= {each["seed"]: each for each in row["seeds"]}
        merged[engine] = {**row, **clocks([seeds[seed] for seed in sorted(seeds)])}
    return [merged[engine] for engine in sorted(merged)]


def used_words(used: Mapping[str, float], capacity: Mapping[str, float] | None = None) -> str:
    """Numbers of resources in words, each beside what there is of it if that is given."""
    words = []
    for name, number in used.items():
        of = "" if capacity is None else f" of {capacity[name]:,g}"
        words.append(f"{number:,g}{of} {_NAMES[name]}")
    return ", ".join(words)


def document(table: Mapping[str, Any]) -> str:
    """docs/resources.md."""
    parts = [
        "# What the engine costs\n\n"
        "Written by `thresher bench resources --write` from `sw/data/resources.json`; tests hold\n"
        f"both equal, and the counts of the presets within {TOLERANCE:.0%} of what is synthesised: "
        "on the ECP5 every\nblock, on the 7 series write-back part by part and elements as a "
        "whole. What is in none of a\nblock's parts is its `rest`. Counted by "
        f"{table['yosys']}. A LUT has six inputs on the 7 series, four\non the ECP5; distributed "
        "memory is counted as the LUTs that it takes. A block by itself may take\nmore or less "
        "than within a whole.\n"
    ]
    sections: dict[str, Callable[[Any], str]] = {
        "presets": _presets,
        "lanes": _lanes,
        "boards": _boards,
        "routed": _routed,
        "routed_lanes": _routed_lanes,
        "largest": _largest,
    }
    for key, show in sections.items():
        if key in table:
            text = show(table[key])
            if is_stale(table, key):  # said below each of the section's headings
                text = re.sub("^## .*\n", rf"\g<0>\n{_STALE}", text, flags=re.MULTILINE)
            parts.append(text + (_unrouted(table) if key == "routed_lanes" else ""))
    return "\n".join(parts)


def _markdown(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    headings = list(headings)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _numbers(used: Mapping[str, float]) -> list[str]:
    return [f"{number:,g}" for number in used.values()]


def _presets(presets: Mapping[str, Mapping[str, Counts]]) -> str:
    return "\n".join(
        f"## Preset {preset}: {_FAMILIES[family]}\n\n{_blocks(rows)}"
        for preset, counted in presets.items()
        for family, rows in counted.items()
    )


def _blocks(rows: Counts) -> str:
    resource_names = [_NAMES[name] for name in next(iter(rows.values()))["used"]]
    return _markdown(
        ["block", "copies", *resource_names],
        ([name, row["copies"], *_numbers(row["used"])] for name, row in rows.items()),
    )


def _lanes(rows: list[dict[str, Any]]) -> str:
    parts = ["## Over lanes\n"]
    preset = rows[0]["preset"]
    for family in dict.fromkeys(row["family"] for row in rows):
        chosen = [row for row in rows if row["family"] == family]
        grid = [f"{row['lanes']} × {row['groups']}" for row in chosen]
        parts.append(
            f"Engines like {preset}, lanes × groups, without the UART bridge: "
            f"{_FAMILIES[family]}.\n*LUT over elements* are those of the whole engine; what an "
            "element by itself takes is in its row below.\n"
        )
        parts.append(
            _markdown(
                ["engine", *(_NAMES[name] for name in chosen[0]["engine"]), "LUT over elements"],
                (
                    [
                        cells,
                        *_numbers(row["engine"]),
                        f"{row['engine']['lut'] / row['elements']:,.0f}",
                    ]
                    for cells, row in zip(grid, chosen, strict=True)
                ),
            )
        )
        names = chosen[0]["blocks"]
        parts.append("LUT of one of each block:\n")
        parts.append(
            _markdown(
                ["block", *grid],
                (
                    [name, *(f"{row['blocks'][name]['used']['lut']:,}" for row in chosen)]
                    for name in names
                ),
            )
        )
    return "\n".join(parts)


def _boards(rows: Mapping[str, Mapping[str, Any]]) -> str:
    return (
        "## Whole boards\n\nAs `thresher build --no-model --toolchain yosys` counts them.\n\n"
        + "".join(
            f"- {name}, {row['lanes']} × {row['groups']} elements: "
            f"{used_words(row['used'], boards.BOARDS[name].capacity)}\n"
            for name, row in rows.items()
        )
    )


def _routed(row: Mapping[str, Any]) -> str:
    seeds = _markdown(
        ["seed", "MHz", "slowest path", "logic ns", "routing ns"],
        (
            [
                each["seed"],
                each["fmax_mhz"],
                f"`{each['slowest']['from']}` to `{each['slowest']['to']}`",
                round(
                    sum(ns for kind, ns in each["slowest"]["ns"].items() if kind != "routing"), 2
                ),
                each["slowest"]["ns"].get("routing", 0),
            ]
            for each in row["seeds"]
        ),
    )
    return (
        f"## Routed on the {row['part']}\n\n"
        f"The whole design of {row['board']}, {row['lanes']} × {row['groups']} elements, by "
        f"nextpnr with {row['target_mhz']:g} MHz as its aim: median {row['median_mhz']} MHz, best "
        f"{row['best_mhz']} MHz; {used_words(row['used'])}.\n\n{seeds}"
    )


def _slowest_block(seed: Mapping[str, Any]) -> str:
    """The block of the engine in which most of the slowest path is."""
    shares = seed["slowest"]["blocks"]
    return str(max(shares, key=shares.get)).removeprefix("accelerator.").removeprefix("engine.")


def _routed_lanes(rows: list[dict[str, Any]]) -> str:
    headings = [_NAMES[name] for name in rows[0]["used"]]
    clocks = _markdown(
        [
            "engine",
            "nextpnr",
            "seeds",
            "median MHz",
            "best MHz",
            *headings,
            "slowest paths mostly in",
        ],
        (
            [
                f"{row['lanes']} × {row['groups']}",
                f"`{row['options']}`" if row["options"] else "as in a build",
                len(row["seeds"]),
                row["median_mhz"],
                row["best_mhz"],
                *_numbers(row["used"]),
                ", ".join(dict.fromkeys(map(_slowest_block, row["seeds"]))),
            ]
            for row in rows
        ),
    )
    return (
        f"## Routed over lanes\n\nThe whole design of {rows[0]['board']} with the engines over "
        f"lanes, by nextpnr with\n{rows[0]['target_mhz']:g} MHz as its aim.\n\n{clocks}"
    )


def _unrouted(table: Mapping[str, Any]) -> str:
    """Which engines that are counted over lanes no clock is known of."""

    def engines(section: str) -> list[str]:
        rows = table.get(section, [])
        return list(dict.fromkeys(f"{row['lanes']} × {row['groups']}" for row in rows))

    missing = [engine for engine in engines("lanes") if engine not in engines("routed_lanes")]
    return f"\nNot routed: {', '.join(missing)}.\n" if missing else ""


def _largest(row: Mapping[str, Any]) -> str:
    return (
        f"## Most elements in the {row['part']}\n\n"
        f"With {row['network']} resident: {row['elements']} elements, {row['lanes']} lanes × "
        f"{row['groups']} groups; {used_words(row['used'], row['capacity'])}.\n"
    )
