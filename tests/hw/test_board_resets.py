"""Clock and reset of every board, as its platform writes them, with models of the cells."""

from pathlib import Path

import pytest
from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module, ResetSignal

from hw.boards import BOARDS
from hw.project import environment
from sim.bench.runner import run_verilog

CELLS = Path(__file__).with_name("board_cells.v")
# Pin of the button, and its level while that is pressed.
BUTTONS = {
    "arty_a7_35t": ("C2", 0),
    "arty_a7_100t": ("C2", 0),
    "nexys_a7": ("C12", 0),
    "cmod_a7_35t": ("A18", 1),
    "ulx3s_85f": ("R1", 1),
    "ulx3s_25f": ("R1", 1),
    "colorlight_5a75b": None,  # its pin is the serial port's
    "orangecrab": ("J17", 0),
    "icebreaker": ("10", 0),
    "ice40_hx8k_b_evn": None,
    "tang_nano_9k": ("3", 0),
}


class Probe(Elaboratable):
    """A design with nothing but the clock domain, and a cell that sees it."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.probe = Instance("probe", i_clock=ClockSignal(), i_reset=ResetSignal())
        return m


def placed(name):
    """(Verilog, pin -> port, the oscillator's resource) of the probe on a board."""
    platform = BOARDS[name].platform()
    with environment("AMARANTH_USE_YOSYS", "builtin"):
        plan = platform.build(Probe(), name, do_build=False, emit_src=False)
    ports = {pin: port for port, pin, _ in platform.iter_port_constraints_bits()}
    return plan.files[f"{name}.v"], ports, platform.lookup(platform.default_clk)


@pytest.fixture(scope="module")
def design():
    """(Verilog of all boards side by side, what the bench has to know of each)."""
    texts, ports, body, boards = [CELLS.read_text()], ["input clock", "input locked"], [], {}
    for name, button in BUTTONS.items():
        text, of_pins, oscillator = placed(name)
        texts.append(text)
        wires = {f"{oscillator.name}_{oscillator.number}__io": "clock"}
        if button is not None:
            wires[of_pins[button[0]]] = f"{name}_button"
            ports.append(f"input {name}_button")
        assert sorted(of_pins.values()) == sorted(wires), name
        # Some are bidirectional, which cannot be connected to a mere input.
        body += [f"wire {name}_{port} = {wire};" for port, wire in wires.items()]
        body.append(f"{name} {name} ({', '.join(f'.{port}({name}_{port})' for port in wires)});")
        boards[name] = {
            "oscillator_hz": int(oscillator.clock.frequency),
            "clock_hz": BOARDS[name].clock_hz,
            "pressed": None if button is None else button[1],
        }
    top = [f"module boards ({', '.join(ports)});", *body, "endmodule\n"]
    return "\n".join([*texts, *top]), boards


def test_every_board_is_there():
    assert BUTTONS.keys() == BOARDS.keys()


@pytest.mark.parametrize(
    "testcase",
    ["clocks_are_those_of_the_boards", "reset_until_locked", "reset_while_the_button_is_pressed"],
)
def test_resets(design, testcase):
    verilog, boards = design
    run_verilog(
        lambda: verilog,
        module="sim.bench.resets",
        name="boards",
        env={"boards": boards},
        testcases=[testcase],
    )
