from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..config import AcceleratorConfig
from ..memory import LoadSignature
from ..regmap import CONTROL, MAGIC, PLACE, REGISTERS, STATUS, VERSION, Window, window_items
from .transfer_crc import TransferCrc

__all__ = ["HostPort"]


class HostPort(wiring.Component):
    """The bus target: registers, and the way to the memory windows.

    A register access takes three cycles, a window access six at most, and eight more on a platform
    with `small_checksum`. Every transfer enters the CRC, so that the host can tell that it took
    place, and with which word. What is guarded, windows among it, is written between two addresses
    alone, which the host has set: so nothing that goes astray on a bad line spoils anything else.

    Members
    -------
    bus : In(BusSignature())
    load : Out(LoadSignature())
    read_address : Out(layouts.address)
        Window word to read: `activation` or `counter` is its value from three cycles later on.
    activation, counter : In(32)
    start, abort : Out(1)
        One cycle each, on the host's command.
    vectors : Out(16)
    busy, layer, cycles : In
        For the registers.
    """

    def __init__(self, config: AcceleratorConfig, *, image_id=0):
        self.config = config
        self.image_id = image_id
        super().__init__(
            {
                "bus": In(BusSignature()),
                "load": Out(LoadSignature()),
                "read_address": Out(layouts.address),
                "activation": In(32),
                "counter": In(32),
                "start": Out(1),
                "abort": Out(1),
                "vectors": Out(16),
                "busy": In(1),
                "layer": In(8),
                "cycles": In(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus, address = self.bus, self.bus.address
        accepted, began, is_counter = Signal(), Signal(), Signal()
        m.d.sync += began.eq(accepted)
        value, restart, writable = self._registers(m, accepted, began)
        crc, of_crc = self._crc(m, accepted, began)
        m.d.comb += crc.restart.eq(restart)
        m.d.comb += is_counter.eq(self.read_address.window == Window.COUNTERS)
        m.d.sync += [bus.acknowledge.eq(0), self.load.windows.eq(0)]
        with m.FSM():
            with m.State("IDLE"), m.If(bus.request & ~bus.acknowledge & ~crc.busy):
                m.d.comb += accepted.eq(1)
                m.d.sync += [self.read_address.eq(address), self.load.address.eq(address)]
                m.d.sync += self.load.data.eq(bus.w_data)
                with m.If(address.window == Window.REGISTERS):
                    m.next = "REGISTER"
                with m.Elif(bus.write):
                    m.next = "CHOOSE"
                with m.Else():
                    m.next = "READ"
            with m.State("REGISTER"):
                # By now, the CRC has the word of the transfer before.
                m.d.sync += [bus.r_data.eq(Mux(of_crc, crc.crc, value)), bus.acknowledge.eq(1)]
                m.next = "IDLE"
            with m.State("CHOOSE"):
                with m.If(writable):
                    m.d.sync += self.load.windows.eq(self._windows(self.load.address))
                m.next = "WRITE"
            # Until it can be read: a start may follow at once.
            with m.State("WRITE"):
                m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.sync += bus.acknowledge.eq(1)
                m.next = "IDLE"
            with m.State("READ"):
                m.next = "LOOK UP"
            with m.State("LOOK UP"):
                m.next = "TAKE"
            with m.State("TAKE"):
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.sync += [
                    bus.r_data.eq(Mux(is_counter, self.counter, self.activation)),
                    bus.acknowledge.eq(1),
                ]
                m.next = "IDLE"
        return m

    def _crc(self, m, accepted, began):
        """The CRC of all transfers but of its register; whether that is what is accessed.

        The latter from the second cycle on.
        """
        m.submodules.crc = crc = TransferCrc()
        bus, own, written = self.bus, Signal(), Signal()
        m.d.sync += own.eq(Value.cast(bus.address) == PLACE["crc"])
        with m.If(accepted):
            m.d.sync += written.eq(bus.write)
        m.d.comb += [
            crc.address.eq(Cat(self.load.address, Const(0, 1), written)),
            crc.word.eq(Mux(written, self.load.data, bus.r_data)),
            crc.began.eq(began & ~own),
            crc.ended.eq(bus.acknowledge & ~own),
        ]
        return crc, own

    def _windows(self, address):
        """Which window an address is in, one-hot, if it is within the depth of its memories."""
        windows = []
        for window in Window:
            _, depth, width = window_items(window, self.config)
            items = depth * layouts.stride(width)
            windows.append((address.window == window) & (address.offset < items))
        return Cat(windows)

    def _registers(self, m, accepted, began):
        """The register that is read, from the second cycle on; two results of writes to them.

        Returns
        -------
        Its value, but for the CRC's; whether the CRC restarts; whether what is guarded may be
        written at the address of the bus, a cycle late.
        """
        bus, address = self.bus, Value.cast(self.bus.address)
        scratch, image_id = Signal(32), Signal(32, init=self.image_id)
        commands, value, restart, writable = Signal(16), Signal(32), Signal(), Signal()
        write_first, write_last = Signal.like(address), Signal.like(address, init=-1)
        values = {
            "magic": MAGIC,
            "version": VERSION,
            "config_digest": self.config.digest,
            "scratch": scratch,
            "image_id": image_id,
            "control": 0,
            "status": STATUS.word(busy=self.busy, layer=self.layer, commands=commands),
            "vectors": self.vectors,
            "crc": 0,
            "cycles": self.cycles,
            "write_first": write_first,
            "write_last": write_last,
        }
        table = Array(values[register.name] for register in REGISTERS)
        m.d.sync += [
            value.eq(Mux(address < len(REGISTERS), table[address[:4]], 0)),
            writable.eq((address >= write_first) & (address <= write_last)),
            self.start.eq(0),
            self.abort.eq(0),
        ]
        held = {"scratch": scratch, "write_first": write_first, "write_last": write_last}
        guarded = {"image_id": image_id, "vectors": self.vectors}
        start, abort = (bus.w_data[CONTROL.field[name].slice] for name in ("start", "abort"))
        with m.If(accepted & bus.write), m.Switch(address):
            for name, register in held.items():
                with m.Case(PLACE[name]):
                    m.d.sync += register.eq(bus.w_data)
            with m.Case(PLACE["control"]):
                m.d.sync += [self.start.eq(start & ~self.busy), self.abort.eq(abort)]
            with m.Case(PLACE["crc"]):
                m.d.comb += restart.eq(1)
        with m.If(began & writable & bus.write), m.Switch(address):
            for name, register in guarded.items():
                with m.Case(PLACE[name]):
                    m.d.sync += register.eq(bus.w_data)
        # Whoever has seen the same number twice knows that nothing happened in between.
        with m.If(self.start | self.abort):
            m.d.sync += commands.eq(commands + 1)
        return value, restart, writable
