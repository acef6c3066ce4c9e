"""When the engine of a virtual board is at rest, and what changes in it then, by a VCD file."""

import re

from sim.board import _SERVER

BUSY_CYCLES, ASKED_CYCLES = (
    int(re.search(rf"{name} = (\d+);", _SERVER.read_text())[1])
    for name in ("kBusyCycles", "kAskedCycles")
)
CYCLE = 10  # in the file's unit of time


def changing(text, cycles):
    """Of each signal that changes within some ranges of cycles, all its paths; its name is last."""
    scopes, found = _scopes(text), set()
    for change in re.finditer(r"^#(\d+)\n((?:[^#].*\n)+)", text, re.M):
        if any(int(change[1]) // CYCLE in some for some in cycles):
            found.update(re.findall(r"^(?:[01]|b[01]+ )(\S+)$", change[2], re.M))
    return [scopes[code] for code in found]


def _scopes(text):
    """Identifier -> paths of the signals that have it."""
    found, path = {}, []
    for line in text[: text.index("$enddefinitions")].splitlines():
        match line.split():
            case ["$scope", _, name, *_]:
                path.append(name)
            case ["$upscope", *_]:
                path.pop()
            case ["$var", _, _, code, name, *_]:
                found.setdefault(code, []).append((*path, name))
    return found
