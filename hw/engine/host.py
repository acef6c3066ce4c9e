from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from .. import layouts
from ..bus import BusSignature
from ..config import AcceleratorConfig
from ..memory import LoadSignature
from ..regmap import MAGIC, REGISTERS, VERSION, Window, window_items

__all__ = ["HostPort"]


class HostPort(wiring.Component):
    """The bus target: registers, and the way to the memory windows.

    A register access takes three cycles, a window access six at most, or seven more on a platform
    with `small_checksum`, which takes a byte a cycle. Every word written to a
    window enters the checksum with its address, so that the host can tell that all of them
    arrived, in order and unchanged.

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
        # Processor of `amaranth.lib.crc`; little-endian words give the CRC-32 of zlib.
        small = getattr(platform, "small_checksum", False)
        crc_bits = 8 if small else layouts.BUS_BITS
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=crc_bits).create()
        bus, address = self.bus, self.bus.address
        in_window = address.window != Window.REGISTERS
        is_counter, value = Signal(), Signal(layouts.BUS_BITS)
        m.d.comb += is_counter.eq(self.read_address.window == Window.COUNTERS)
        m.d.sync += [
            bus.acknowledge.eq(0),
            self.load.windows.eq(0),
            self.start.eq(0),
            self.abort.eq(0),
            crc.valid.eq(0),
            crc.start.eq(0),
            crc.data.eq(address),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(bus.request & ~bus.acknowledge):
                m.d.sync += [self.read_address.eq(address), self.load.address.eq(address)]
                m.d.sync += self.load.data.eq(bus.w_data)
                with m.If(~in_window):
                    self._registers(m, crc, value)
                    m.next = "REGISTER"
                with m.Elif(bus.write):
                    if not small:
                        m.d.sync += crc.valid.eq(1)
                    m.next = "CHECKSUM"
                with m.Else():
                    m.next = "READ"
            with m.State("REGISTER"):
                m.d.sync += [bus.r_data.eq(value), bus.acknowledge.eq(1)]
                m.next = "IDLE"
            with m.State("CHECKSUM"):
                writes = self.load.windows.eq(self._windows(self.load.address))
                if small:
                    with m.If(self._check_byte(m, crc)):
                        m.d.sync += writes
                        m.next = "WRITE"
                else:
                    m.d.sync += [crc.valid.eq(1), crc.data.eq(self.load.data), writes]
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

    def _check_byte(self, m, crc):
        """Gives the checksum a byte of the word's address or of the word; whether that is all."""
        address, number = Signal(layouts.BUS_BITS), Signal(3)
        m.d.comb += address.eq(self.load.address)
        both = Cat(address, self.load.data)
        m.d.sync += [
            crc.valid.eq(1),
            crc.data.eq(both.word_select(number, 8)),
            number.eq(number + 1),
        ]
        return number == 7

    def _windows(self, address):
        """Which window an address is in, one-hot, if it is within the depth of its memories."""
        windows = []
        for window in Window:
            _, depth, width = window_items(window, self.config)
            items = depth * layouts.stride(width)
            windows.append((address.window == window) & (address.offset < items))
        return Cat(windows)

    def _registers(self, m, crc, value):
        """One register access; what is read goes into `value`."""
        bus, offset = self.bus, self.bus.address.offset
        scratch, image_id = Signal(32), Signal(32, init=self.image_id)
        values = {
            "magic": MAGIC,
            "version": VERSION,
            "config_digest": self.config.digest,
            "scratch": scratch,
            "image_id": image_id,
            "control": 0,
            "status": self.busy | (self.layer << 8),
            "vectors": self.vectors,
            "load_crc": crc.crc,
            "cycles": self.cycles,
        }
        place = {register.name: place for place, register in enumerate(REGISTERS)}
        table = Array(values[register.name] for register in REGISTERS)
        m.d.sync += value.eq(Mux(offset < len(REGISTERS), table[offset[:4]], 0))
        with m.If(bus.write), m.Switch(offset):
            with m.Case(place["scratch"]):
                m.d.sync += scratch.eq(bus.w_data)
            with m.Case(place["image_id"]):
                m.d.sync += image_id.eq(bus.w_data)
            with m.Case(place["control"]):
                m.d.sync += [
                    self.start.eq(bus.w_data[0] & ~self.busy),
                    self.abort.eq(bus.w_data[1]),
                ]
            with m.Case(place["vectors"]):
                m.d.sync += self.vectors.eq(bus.w_data)
            with m.Case(place["load_crc"]):
                m.d.sync += crc.start.eq(1)
