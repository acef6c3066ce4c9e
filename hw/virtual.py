"""The top level with its pins as ports: what a simulation has for a board."""

import dataclasses

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    Fragment,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out

from .boards import Board
from .config import AcceleratorConfig
from .top import Top

__all__ = ["VirtualTop"]


class VirtualTop(wiring.Component):
    """`Top` with its pins as ports, and the engine's clock apart from the others'.

    Both clocks rise together; that of the engine may stay low a while after `busy` and `asked`
    were (`kBusyCycles` and `kAskedCycles` of sim/board_server.cpp): nothing in the engine changes
    then, or only whose turn it is in narrow memories, and a simulation that does not clock it is
    many times as fast. The engine is reset a cycle late: see `sim.late_reset`, whose reason holds
    here, too.

    Members
    -------
    engine_clk : In(1)
    rx : In(1)
    tx : Out(1)
    leds : Out(2)
    busy, asked : Out(1)
        The engine runs; it is asked for something.
    """

    def __init__(self, config: AcceleratorConfig, board: Board):
        self.top = Top(config, board)
        super().__init__(
            {
                "engine_clk": In(1),
                "rx": In(1, init=1),
                "tx": Out(1),
                "leds": Out(2),
                "busy": Out(1),
                "asked": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.domains.engine = ClockDomain("engine")
        accelerator, pins = self.top.accelerator, _Pins(platform)
        accelerator.engine = DomainRenamer("engine")(accelerator.engine)
        m.submodules.top = Fragment.get(self.top, pins)
        late = Signal(init=1, reset_less=True)
        m.d.engine += late.eq(ResetSignal("sync"))
        m.d.comb += [
            ClockSignal("engine").eq(self.engine_clk),
            ResetSignal("engine").eq(late),
            pins.uart.rx.i.eq(self.rx),
            self.tx.eq(pins.uart.tx.o),
            self.leds[0].eq(pins.led[0].o),
            self.leds[1].eq(pins.led[1].o),
            self.busy.eq(accelerator.busy),
            self.asked.eq(accelerator.link.bus.request),
        ]
        return m


@dataclasses.dataclass
class _Uart:
    rx: io.SimulationPort
    tx: io.SimulationPort


class _Pins:
    """A platform that has the pins that `Top` asks for, and what else another has."""

    def __init__(self, platform):
        self._platform = platform
        self.uart = _Uart(io.SimulationPort("i", 1), io.SimulationPort("o", 1))
        self.led = [io.SimulationPort("o", 1), io.SimulationPort("o", 1)]

    def __getattr__(self, name):
        return getattr(self._platform, name)

    def request(self, name, number, *, dir):
        found = {"uart": [self.uart], "led": self.led}
        return found[name][number]
