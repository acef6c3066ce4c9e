"""Registers that go into the ECP5's block RAMs and multipliers, and those that must not.

That the netlist still does what it did is simulated in tests/sim/test_netlist.py.
"""

import copy
import json

import pytest

from hw.toolchains.hard_registers import absorb_registers

CLOCK, ENABLE = 2, 3
FLIP_FLOP = {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"}


def cell(kind, parameters=None, outputs=(), **connections):
    return {
        "type": kind,
        "parameters": dict(parameters or {}),
        "port_directions": {pin: "output" if pin in outputs else "input" for pin in connections},
        "connections": {pin: [net] for pin, net in connections.items()},
    }


def flip_flop(data, output, clock=CLOCK, **parameters):
    return cell(
        "TRELLIS_FF",
        FLIP_FLOP | parameters,
        outputs=("Q",),
        CLK=clock,
        CE=ENABLE if parameters.get("CEMUX") == "CE" else "1",
        LSR="0",
        DI=data,
        Q=output,
    )


def memory(width=18):
    """A block RAM that is read through port B, or through all pins if it is wide: nets 10 to 13."""
    outputs = {"DOB0": 10, "DOB1": 11} | ({"DOA0": 12, "DOA1": 13} if width == 36 else {})
    parameters = {f"DATA_WIDTH_{port}": f"{width:032b}" for port in "AB"}
    for port in "AB":
        parameters |= {f"REGMODE_{port}": "NOREG", f"CLK{port}MUX": f"CLK{port}"}
    controls = {"CLKA": CLOCK, "CLKB": CLOCK, "OCEA": "0", "OCEB": "1", "RSTA": "0", "RSTB": "0"}
    return cell("DP16KD", parameters, outputs=tuple(outputs), **outputs, **controls)


def behind(width=18, **parameters):
    """A register behind each bit, with outputs from net 30 on."""
    bits = 4 if width == 36 else 2
    return {f"ff_{bit}": flip_flop(10 + bit, 30 + bit, **parameters) for bit in range(bits)}


def product():
    """A multiplier of 2 bits, the higher one as sign, with three registers around it."""
    factors = {"A0": 50, "A1": 51, "A17": 51, "B0": 52, "B1": 53, "B2": 53}
    zeros = {"A2": "0", "C0": "0", "SIGNEDA": "1", "SIGNEDB": "1"}
    outputs = {"P0": 54, "P1": 55, "P2": 56}
    cells = {"product": cell("MULT18X18D", {}, tuple(outputs), **factors, **zeros, **outputs)}
    for bit in range(4):
        cells[f"first_{bit}"] = flip_flop(60 + bit, 40 + bit)
        cells[f"second_{bit}"] = flip_flop(40 + bit, 50 + bit)
    for bit in range(2):  # nobody reads the third
        cells[f"behind_{bit}"] = flip_flop(54 + bit, 70 + bit)
    return cells


def without(cells, *names):
    return {name: each for name, each in cells.items() if name not in names}


def reading(net):
    return {"lut": cell("LUT4", outputs=("Z",), A=net, Z=80)}


def absorb(tmp_path, cells, outputs=(30, 31, 32, 33, 70, 71)):
    """(cells afterwards, flip-flops there are less) for a module with these cells and outputs."""
    module = {"ports": {"o": {"direction": "output", "bits": list(outputs)}}, "cells": cells}
    file = tmp_path / "netlist.json"
    file.write_text(json.dumps({"modules": {"top": module, "box": {"ports": {}, "cells": {}}}}))
    absorbed = absorb_registers(file)
    return json.loads(file.read_text())["modules"]["top"]["cells"], absorbed


@pytest.mark.parametrize("mux", ["1 ", "CE"])
@pytest.mark.parametrize("width", [18, 36])
def test_a_port_takes_the_registers_behind_it(tmp_path, width, mux):
    cells, absorbed = absorb(tmp_path, {"ram": memory(width), **behind(width, CEMUX=mux)})
    assert absorbed == (4 if width == 36 else 2)
    assert list(cells) == ["ram"]
    block = cells["ram"]
    for pin, net in {"DOB0": 30, "DOB1": 31, "DOA0": 32, "DOA1": 33}.items():
        assert block["connections"].get(pin, [net]) == [net]
    enable = [ENABLE if mux == "CE" else "1"]
    assert block["parameters"]["REGMODE_B"] == "OUTREG"
    assert block["connections"]["OCEB"] == enable
    # The other port of a narrow one is not read.
    assert block["parameters"]["REGMODE_A"] == ("OUTREG" if width == 36 else "NOREG")
    assert block["connections"]["OCEA"] == (enable if width == 36 else ["0"])


def changed(**changes):
    """A narrow memory with its registers, of which the second is another."""
    return {"ram": memory(), **behind(), "ff_1": flip_flop(11, 31, **changes)}


def with_reset(cells, name):
    cells[name]["connections"]["LSR"] = [9]
    return cells


def unusual_memory(**changes):
    """A memory with a parameter or a pin that is another."""
    ram = memory()
    for name, value in changes.items():
        if name in ram["parameters"]:
            ram["parameters"][name] = value
        else:
            ram["connections"][name] = [value]
    return {"ram": ram, **behind()}


LEFT_ALONE = {
    "an inverted clock of the memory": unusual_memory(CLKBMUX="INV"),
    "a reset of the memory": unusual_memory(RSTB=9),
    "another clock of the memory": unusual_memory(CLKB=4),
    "a reset": with_reset({"ram": memory(), **behind()}, "ff_0"),
    "an inverted reset": changed(LSRMUX="INV"),
    "set at power-up": changed(REGSET="SET"),
    "an enable of its own": changed(CEMUX="CE"),
    "an inverted enable": {"ram": memory(), **behind(CEMUX="INV")},
    "a falling clock": {"ram": memory(), **behind(CLKMUX="INV")},
    "a clock of its own": changed(clock=4),
    "another clock than the memory's": {"ram": memory(), **behind(clock=4)},
    "a bit without one": {
        "ram": memory(),
        "ff_0": flip_flop(10, 30),
        "lut": cell("LUT4", outputs=("Z",), A=11, Z=31),
    },
    "another reader": {
        "ram": memory(),
        **behind(),
        "lut": cell("LUT4", outputs=("Z",), A=11, Z=32),
    },
    "a bit as its enable": {
        "ram": memory(),
        "ff_0": flip_flop(10, 30),
        "ff_1": cell("TRELLIS_FF", FLIP_FLOP, ("Q",), CLK=CLOCK, CE=11, LSR="0", DI=5, Q=31),
    },
    "half of a wide word": {
        name: each for name, each in (("ram", memory(36)), *behind(36).items()) if name != "ff_3"
    }
    | {"lut": cell("LUT4", outputs=("Z",), A=13, Z=33)},
}


@pytest.mark.parametrize("why", LEFT_ALONE)
def test_a_port_that_cannot_take_them_stays_as_it_is(tmp_path, why):
    cells = LEFT_ALONE[why]
    assert absorb(tmp_path, copy.deepcopy(cells)) == (cells, 0)


def test_an_output_of_the_module_is_another_reader(tmp_path):
    cells = {"ram": memory(), **behind()}
    assert absorb(tmp_path, copy.deepcopy(cells), outputs=(10, 30, 31)) == (cells, 0)


def test_ports_are_looked_at_one_by_one(tmp_path):
    """The registers of port A have a reset, those of port B have none."""
    ram = memory()
    ram["connections"] |= {"DOA0": [20]}
    ram["port_directions"]["DOA0"] = "output"
    cells = {"ram": ram, **behind(), "reset": flip_flop(20, 32)}
    after, absorbed = absorb(tmp_path, with_reset(cells, "reset"))
    assert (list(after), absorbed) == (["ram", "reset"], 2)
    assert after["ram"]["parameters"]["REGMODE_A"] == "NOREG"
    assert after["ram"]["connections"]["DOA0"] == [20]


def test_a_multiplier_takes_two_registers_before_and_one_behind(tmp_path):
    cells, absorbed = absorb(tmp_path, product())
    assert (list(cells), absorbed) == (["product"], 10)
    connections, parameters = cells["product"]["connections"], cells["product"]["parameters"]
    taken = {"A0": 60, "A1": 61, "A17": 61, "B0": 62, "B1": 63, "B2": 63, "P0": 70, "P1": 71}
    assert {pin: connections[pin] for pin in taken} == {pin: [net] for pin, net in taken.items()}
    assert (connections["A2"], connections["P2"]) == (["0"], [56])
    assert {connections[pin][0] for pin in ("CLK0", "CE0", "RST0")} == {CLOCK, "1", "0"}
    for stage in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
        for what in ("CLK", "CE", "RST"):
            assert parameters[f"REG_{stage}_{what}"] == f"{what}0"
            assert cells["product"]["port_directions"][f"{what}0"] == "input"


@pytest.mark.parametrize("memory_first", [False, True])
def test_a_register_goes_into_one_block_only(tmp_path, memory_first):
    """Those behind a memory are the first before a multiplier: one of the two takes them."""
    cells = product()
    ram = memory(36)
    pins = ("DOB0", "DOB1", "DOA0", "DOA1")
    ram["connections"] |= {pin: [60 + bit] for bit, pin in enumerate(pins)}
    cells = {"ram": ram, **cells} if memory_first else {**cells, "ram": ram}
    after, absorbed = absorb(tmp_path, cells)
    read = [after["ram"]["connections"][pin][0] for pin in pins]
    if memory_first:  # only the registers that are left would not fill the multiplier
        assert absorbed == 4
        assert read == [40, 41, 42, 43]
        assert "REG_INPUTA_CLK" not in after["product"]["parameters"]
    else:
        assert absorbed == 10
        assert read == [60, 61, 62, 63]
        assert after["ram"]["parameters"]["REGMODE_B"] == "NOREG"
        assert [after["product"]["connections"][pin] for pin in ("A0", "B0")] == [[60], [62]]


def test_a_product_of_a_register_by_itself(tmp_path):
    cells = without(product(), "first_2", "first_3", "second_2", "second_3")
    for pin, net in {"B0": 50, "B1": 51, "B2": 51}.items():
        cells["product"]["connections"][pin] = [net]
    after, absorbed = absorb(tmp_path, cells)
    assert (list(after), absorbed) == (["product"], 6)
    assert after["product"]["connections"]["B1"] == [61]


NO_REGISTERS = {
    "none behind": without(product(), "behind_0", "behind_1") | reading(54) | reading(55),
    "none behind one bit": without(product(), "behind_1") | reading(55),
    "one before": without(product(), *(f"second_{bit}" for bit in range(4)))
    | {f"first_{bit}": flip_flop(60 + bit, 50 + bit) for bit in range(4)},
    "one before one bit": without(product(), "first_2"),
    "a reset behind": with_reset(product(), "behind_0"),
    "a reset before": with_reset(product(), "first_1"),
    "a reset in between": with_reset(product(), "second_1"),
    "another reader in between": product() | reading(41),
    "another reader before": product() | reading(51),
    "another reader behind": product() | reading(55),
    "an enable": product() | {"first_3": flip_flop(63, 43, CEMUX="CE")},
    "a falling clock": product() | {"second_1": flip_flop(41, 51, CLKMUX="INV")},
    "set at power-up": product() | {"first_1": flip_flop(61, 41, REGSET="SET")},
    "a factor that another multiplier has, too": product()
    | {"other": cell("MULT18X18D", outputs=("P0",), A0=50, P0=90)},
    "another clock": product() | {"second_0": flip_flop(40, 50, clock=4)},
}


@pytest.mark.parametrize("why", NO_REGISTERS)
def test_a_multiplier_that_cannot_take_them_stays_as_it_is(tmp_path, why):
    cells = NO_REGISTERS[why]
    assert absorb(tmp_path, copy.deepcopy(cells), outputs=(70, 71, 80)) == (cells, 0)
