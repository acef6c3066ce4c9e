"""The accelerator behind its UART, with nothing but pins, and placed on a board."""

from amaranth.hdl import Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out, connect

from .boards import Board
from .config import AcceleratorConfig
from .engine import Engine
from .link.uartbone import UartBone

__all__ = ["Accelerator", "Top"]


class Accelerator(wiring.Component):
    """An engine and the bridge that gives a host its bus, for any board or simulation.

    Parameters
    ----------
    config : AcceleratorConfig
    divisor : int
        Clock cycles per bit on the UART.
    clock_hz : int
        From which the bridge derives its time-out.
    contents : window -> per unit, items of 32-bit parts
        What the memories hold at power-up (`sw.image.Image.contents`); zeros without it.
    image_id : int
        `sw.image.Image.id` of the contents; 0 without them.

    Members
    -------
    rx : In(1)
    tx : Out(1)
        The UART: 8 data bits, no parity, one stop bit.
    busy : Out(1)
        See `Engine`.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        divisor: int,
        clock_hz: int,
        contents=None,
        image_id: int = 0,
    ):
        self.link = UartBone(divisor, clock_hz)
        self.engine = Engine(config, contents, image_id)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self.link
        m.submodules.engine = engine = self.engine
        connect(m, link.bus, engine.bus)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx), self.busy.eq(engine.busy)]
        return m


class Top(wiring.Component):
    """The accelerator on a board: its serial port, LED 0 a heartbeat, LED 1 busy.

    Parameters
    ----------
    config, contents, image_id
        See `Accelerator`.
    board : Board
        Whose platform this is elaborated for.
    """

    def __init__(self, config: AcceleratorConfig, board: Board, contents=None, image_id: int = 0):
        self.board = board
        self.accelerator = Accelerator(config, board.divisor, board.clock_hz, contents, image_id)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = accelerator = self.accelerator
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.led_0 = led_0 = io.Buffer("o", platform.request("led", 0, dir="-"))
        m.submodules.led_1 = led_1 = io.Buffer("o", platform.request("led", 1, dir="-"))

        # The greatest power of two of cycles within a second: on for half of that.
        heartbeat = Signal(self.board.clock_hz.bit_length() - 1)
        m.d.sync += heartbeat.eq(heartbeat + 1)
        m.d.comb += [
            accelerator.rx.eq(rx.i),
            tx.o.eq(accelerator.tx),
            led_0.o.eq(heartbeat[-1]),
            led_1.o.eq(accelerator.busy),
        ]
        return m
