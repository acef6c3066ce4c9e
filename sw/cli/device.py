"""`thresher info` and `thresher selftest`: who is at the other end, and whether it works."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
from rich.table import Table

from sw.driver import Info
from sw.progress import steps

from .at_port import AtPort, device_options
from .output import console, emit, json_option

__all__ = ["info", "selftest"]


@click.command(
    epilog="""
    \b
    Example:
      thresher info --port /dev/ttyUSB1
    """
)
@device_options
@json_option
def info(device: AtPort, as_json: bool) -> None:
    """Tell which accelerator is at a port, and what it holds."""
    with device.opened() as accelerator:
        found = accelerator.info()
    record = _record(found, device.board_names(found.registers))
    emit(record, _show(record), as_json)


def _record(found: Info, names: list[str]) -> dict[str, Any]:
    registers, config = found.registers, found.config
    return {
        "port": found.port,
        "boards": names,
        "config_digest": f"{registers.config_digest:08x}",
        "lanes": None if config is None else config.lanes,
        "groups": None if config is None else config.groups,
        "image_id": found.image_id,
        "busy": registers.busy,
        "register_map": registers.version,
        "commands": registers.commands,
        "cycles": registers.cycles,
        "exchanges_repeated": found.repeated,
    }


def _show(record: dict[str, Any]) -> Table:
    grid = "unknown: name the folder of its build by --build"
    if record["lanes"] is not None:
        grid = f"{record['lanes']} × {record['groups']}"
    held = record["image_id"] if int(record["image_id"], 16) else "none: load a network"
    rows = {
        "port": record["port"],
        "board": " or ".join(record["boards"]) or "unknown",
        "elements, lanes × groups": grid,
        "configuration": record["config_digest"],
        "image": held,
        "state": "running" if record["busy"] else "ready",
        "cycles of the last run": f"{record['cycles']:,}",
        "register map": f"version {record['register_map']}",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


@click.command(
    epilog="""
    \b
    Example:
      thresher selftest --port /dev/ttyUSB1
    """
)
@device_options
@json_option
def selftest(device: AtPort, as_json: bool) -> None:
    """Try a board: its activation memories, and random networks, layer by layer.

    What it held is lost. Exit status 1 if something is wrong.
    """
    with device.opened() as accelerator:
        with steps(console(), lambda: accelerator.repeated) as begin:
            checks = accelerator.selftest(begin)
        record = {
            "port": accelerator.port,
            "checks": [dataclasses.asdict(check) for check in checks],
            "exchanges_repeated": accelerator.repeated,
        }
    table = Table("check", "result")
    for check in checks:
        table.add_row(check.name, check.failure or "right")
    table.add_section()
    table.add_row("spoiled on the line, and repeated", f"{record['exchanges_repeated']}")
    emit(record, table, as_json)
    if any(check.failure for check in checks):
        raise click.exceptions.Exit(1)
