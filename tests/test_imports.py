"""The import rule: software and simulation know only the hardware's data, hardware knows neither.

What builds or simulates the design itself is named here, each with its reason.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_BY_ALL = {"hw", "hw.config", "hw.layouts", "hw.regmap", "hw.wire"}
EXEMPT = {
    "hw/build.py",  # the build entry point packs a network into the design
    "sw/cli",  # verbs call all three parts
    "sw/ports.py",  # whether a board is behind a port, and which
    "sim/engine.py",  # the design under test
    "sim/board.py",  # a whole board of it
    "sim/simulate.py",  # whose engine it is
    "sim/netlist.py",  # what synthesis makes of it
    "sim/bench",  # benches know the constants of their blocks
}


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, anywhere in it."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, node.module or ""]).rstrip(".") if node.level else node.module
            found.add(base)
            # `from hw import boards` imports the module hw.boards.
            folder = ROOT / base.replace(".", "/")
            found.update(
                f"{base}.{alias.name}"
                for alias in node.names
                if (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
            )
    return found


def exempt(path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return any(relative.is_relative_to(place) for place in EXEMPT)


def sources(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


def violations(path: Path) -> set[str]:
    names = imported(path)
    if path.relative_to(ROOT).parts[0] == "hw":
        return {name for name in names if name.split(".")[0] in ("sw", "sim")}
    return {name for name in names if name.split(".")[0] == "hw"} - SHARED_BY_ALL


@pytest.mark.parametrize("part", ["hw", "sw", "sim"])
def test_import_rule(part):
    wrong = {str(p): violations(p) for p in sources(part) if not exempt(p) and violations(p)}
    assert not wrong


def test_every_exemption_is_needed():
    for place in EXEMPT:
        path = ROOT / place
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        assert any(violations(file) for file in files), place
