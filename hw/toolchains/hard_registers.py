"""Registers of the ECP5's block RAMs and multipliers, which Yosys leaves unused.

A block RAM of the ECP5 gives its word 5.8 ns after the clock, or 1 ns with the register that it has
at its output; a multiplier has registers before, in, and after it (speed grade 6; Lattice
FPGA-TN-02204 and FPGA-TN-02205). Yosys maps a memory or a product to such a block, and the
registers beside it to flip-flops; here those go into the block. What the design does stays the
same, cycle by cycle.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["absorb_registers"]

_WIDE = 36  # a word of both ports' bits, written by port A and read by port B

Net = int | str  # a constant is text
Cell = dict[str, Any]


class _Register(NamedTuple):
    """A flip-flop: its cell and nets; without reset, on the rising edge, from 0 on."""

    cell: str
    data: Net
    output: Net
    clock: Net
    enable: Net


def absorb_registers(file: Path) -> int:
    """Move flip-flops into block RAMs and multipliers, in a netlist that Yosys wrote as JSON.

    A block's register takes all bits or none: they must have one clock, the block's, its edge, and
    one enable, no reset, and nobody else may look at what is between the block and them. Else the
    block stays as it is.

    Returns
    -------
    How many flip-flops there are less.
    """
    netlist = json.loads(file.read_text())
    absorbed = sum(_Module(module).absorb() for module in netlist["modules"].values())
    file.write_text(json.dumps(netlist))
    return absorbed


class _Module:
    """A module of the netlist, and who is at the two ends of its nets."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.readers: dict[Net, list[tuple[str, str]]] = defaultdict(list)  # cell, pin
        for pin, port in module["ports"].items():
            for net in port["bits"]:
                self.readers[net].append(("", pin))
        self.registers: dict[str, _Register] = {}
        for name, cell in self.cells.items():
            for pin, nets in cell["connections"].items():
                if cell["port_directions"][pin] == "input":
                    for net in nets:
                        self.readers[net].append((name, pin))
            if register := _register(name, cell):
                self.registers[name] = register
        self.of_output = {register.output: register for register in self.registers.values()}

    def absorb(self) -> int:
        """Flip-flops that are moved."""
        before = len(self.cells)
        for name, cell in list(self.cells.items()):
            if cell["type"] == "DP16KD":
                wide = int(cell["parameters"]["DATA_WIDTH_B"], 2) == _WIDE
                for ports in ("AB",) if wide else ("A", "B"):
                    self._block_ram(name, cell, ports)
            elif cell["type"] == "MULT18X18D":
                self._multiplier(name, cell)
        return before - len(self.cells)

    def _block_ram(self, name: str, block: Cell, ports: str) -> None:
        """Give the ports, which are read as one, their output register."""
        registers = self._behind(block, tuple(f"DO{port}" for port in ports))
        controls = _controls(registers.values())
        nets, parameters = block["connections"], block["parameters"]
        clocks = {nets[f"CLK{port}"][0] for port in ports}
        plain = all(
            nets[f"RST{port}"] == ["0"] and parameters[f"CLK{port}MUX"] == f"CLK{port}"
            for port in ports
        )
        if plain and len(controls) == 1 and clocks == {clock for clock, _ in controls}:
            self._move(name, registers, {})
            for port in ports:
                block["parameters"][f"REGMODE_{port}"] = "OUTREG"
                block["connections"][f"OCE{port}"] = [enable for _, enable in controls]

    def _multiplier(self, name: str, block: Cell) -> None:
        """Give it two registers before the product and one behind.

        The second of those before goes into the middle of the multiplier: that of the product's
        parts, 0 at first as theirs are.
        """
        behind = self._behind(block, ("P",))
        second = self._before(block["connections"], {name})
        first = {pin: self._sole(register.data, second) for pin, register in second.items()}
        if not behind or not second or None in first.values():
            return
        controls = _controls([*behind.values(), *second.values(), *first.values()])
        if {enable for _, enable in controls} != {"1"} or len(controls) != 1:
            return
        self._move(name, behind, first)
        for register in second.values():
            self._remove(register)
        for stage in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
            for what in ("CLK", "CE", "RST"):
                block["parameters"][f"REG_{stage}_{what}"] = f"{what}0"
        for pin, net in (("CLK0", next(iter(controls))[0]), ("CE0", "1"), ("RST0", "0")):
            block["connections"][pin] = [net]
            block["port_directions"][pin] = "input"

    def _behind(self, block: Cell, pins: tuple[str, ...]) -> dict[str, _Register]:
        """Output pin -> register, for all pins so called that anybody reads; {} if one has none."""
        found = {}
        for pin, nets in block["connections"].items():
            if pin.startswith(pins) and nets and self.readers[nets[0]]:
                (reader, at), *others = self.readers[nets[0]]
                if others or at != "DI" or reader not in self.registers:
                    return {}
                found[pin] = self.registers[reader]
        return found

    def _before(self, pins: dict[str, list[Net]], readers: set[str]) -> dict[str, _Register]:
        """Factor's pin -> register, for all that are not 0; {} if one has none of its own."""
        found = {}
        for pin, (net,) in pins.items():
            if pin[0] in "AB" and pin[1:].isdigit() and net != "0":
                register = self.of_output.get(net)
                if register is None or {cell for cell, _ in self.readers[net]} != readers:
                    return {}
                found[pin] = register
        return found

    def _sole(self, net: Net, readers: dict[str, _Register]) -> _Register | None:
        """The register whose output that is, if nobody else reads it."""
        register = self.of_output.get(net)
        others = {cell for cell, _ in self.readers[net]} - {r.cell for r in readers.values()}
        return None if others else register

    def _move(self, name: str, behind: dict[str, _Register], before: dict[str, _Register]) -> None:
        nets = self.cells[name]["connections"]
        for pin, register in behind.items():
            nets[pin] = [register.output]
            self._remove(register)
        for pin, register in before.items():
            nets[pin] = [register.data]
            self.readers[register.data].append((name, pin))
            self._remove(register)

    def _remove(self, register: _Register) -> None:
        """Take the cell away; it may have gone with another pin."""
        if self.cells.pop(register.cell, None) is not None:
            del self.registers[register.cell], self.of_output[register.output]
            self.readers[register.data].remove((register.cell, "DI"))


def _controls(registers: Iterable[_Register]) -> set[tuple[Net, Net]]:
    return {(register.clock, register.enable) for register in registers}


def _register(name: str, cell: Cell) -> _Register | None:
    """The cell as a register that the blocks have, too; None if it is something else."""
    if cell["type"] != "TRELLIS_FF":
        return None
    nets, parameters = cell["connections"], cell["parameters"]
    mode = parameters["CEMUX"].strip()
    resets = parameters["LSRMUX"] != "LSR" or nets.get("LSR", ["0"]) != ["0"]
    if resets or mode not in ("1", "CE"):
        return None
    if (parameters["REGSET"], parameters["CLKMUX"]) != ("RESET", "CLK") or not nets.get("DI"):
        return None
    enable = "1" if mode == "1" else nets["CE"][0]
    return _Register(name, nets["DI"][0], nets["Q"][0], nets["CLK"][0], enable)
