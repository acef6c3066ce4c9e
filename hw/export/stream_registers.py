"""The bus target of the streams: their registers, and the tables of places."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .. import layouts
from ..bus import BusSignature
from ..memory import read_register
from .stream_map import CONTROL, PLACE, REGISTERS, STATUS, StreamSettings, StreamShape, Unit

__all__ = ["StreamRegisters", "TableLoad", "look_up"]


class TableLoad(wiring.Signature):
    """A word for a table of places, seen from the registers.

    Members
    -------
    enable : Out(1)
    index : Out(range(items))
    data : Out(item)
    """

    def __init__(self, items: int, item: StructLayout):
        super().__init__({"enable": Out(1), "index": Out(bits_for(items - 1)), "data": Out(item)})


def look_up(m: Module, load, number, init):
    """The place of an activation of a number, two cycles later, from the table behind `load`."""
    item = load.data.shape()
    m.submodules.places = places = Memory(
        shape=unsigned(item.size), depth=1 << len(load.index), init=init
    )
    read, write = places.read_port(), places.write_port()
    m.d.comb += [
        read.addr.eq(number),
        write.addr.eq(load.index),
        write.data.eq(load.data),
        write.en.eq(load.enable),
    ]
    return item(read_register(m, read.data, name="place"))


class StreamRegisters(wiring.Component):
    """The bus target of the streams: `REGISTERS`, and the way to the tables of places.

    An access takes two cycles. An error in the cycle in which it is cleared stays.

    Members
    -------
    bus : In(BusSignature())
    enable : Out(1)
        Vectors are to be taken, and the sizes are such that they can be.
    inputs, outputs, first, words, groups : Out(32)
        The registers of those names.
    inputs_at, outputs_at : Out(TableLoad)
    early, missing : In(1)
        One cycle an error.
    busy : In(1)
    """

    def __init__(self, shape: StreamShape, settings: StreamSettings):
        self.shape = shape
        self.settings = settings
        values = dict.fromkeys(("inputs", "outputs", "first", "words", "groups"), Out(32))
        super().__init__(
            {
                "bus": In(BusSignature()),
                "enable": Out(1),
                **values,
                "inputs_at": Out(TableLoad(shape.items, shape.input_place)),
                "outputs_at": Out(TableLoad(shape.items, shape.output_place)),
                "early": In(1),
                "missing": In(1),
                "busy": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus, offset = self.bus, self.bus.address.offset
        taken, errors, fit, unfit = Signal(), Signal(2), Signal(), Signal()
        init = self.settings.registers
        held = {
            register.name: Signal(
                layouts.BUS_BITS, name=register.name, init=init.get(register.name, 0)
            )
            for register in REGISTERS
            if register.access == "rw" and register != STATUS
        }
        values = {
            **held,
            STATUS.name: STATUS.word(
                early=errors[0], missing=errors[1], unfit=unfit, busy=self.busy
            ),
            "stream_items": Const(self.shape.items),
            "stream_room": Const(self.shape.room),
        }
        m.d.comb += taken.eq(bus.request & ~bus.acknowledge)
        m.d.sync += [bus.acknowledge.eq(taken), bus.r_data.eq(0)]
        writes = taken & bus.write
        cleared = Signal(2)
        with m.If(bus.address.unit == Unit.REGISTERS):
            with m.Switch(offset):
                for name, value in values.items():
                    with m.Case(PLACE[name]):
                        m.d.sync += bus.r_data.eq(value)
                        if name in held:
                            with m.If(writes):
                                m.d.sync += value.eq(bus.w_data)
            ones = Cat(bus.w_data[STATUS.field[name].slice] for name in ("early", "missing"))
            m.d.comb += cleared.eq(Mux(writes & (offset == PLACE[STATUS.name]), ones, 0))
        m.d.sync += errors.eq((errors & ~cleared) | Cat(self.early, self.missing))
        for unit, table in ((Unit.INPUTS, self.inputs_at), (Unit.OUTPUTS, self.outputs_at)):
            m.d.sync += [
                table.enable.eq(writes & (bus.address.unit == unit)),
                table.index.eq(offset),
                Value.cast(table.data).eq(bus.w_data),
            ]
        for name in ("inputs", "outputs", "first", "words", "groups"):
            m.d.comb += getattr(self, name).eq(held[f"stream_{name}"])
        wanted = held[CONTROL.name][CONTROL.field["enable"].slice]
        m.d.comb += unfit.eq(wanted & ~fit)
        m.d.sync += self.enable.eq(wanted & fit)
        self._check(m, fit)
        return m

    def _check(self, m, fit):
        """Whether vectors of these sizes have room, two cycles after the registers have them.

        Until then nothing is enabled yet: `stream_control` is written after them.
        """
        shape, most = self.shape, self.shape.config.groups
        room = Array([shape.room, *(shape.room // groups for groups in range(1, most + 1))])
        words = Signal(bits_for(shape.room))
        m.d.sync += words.eq(room[self.groups[: bits_for(most)]])
        within = [
            (value >= 1) & (value <= greatest)
            for value, greatest in (
                (self.inputs, shape.items),
                (self.outputs, shape.items),
                (self.words, words),
            )
        ]
        m.d.sync += fit.eq(Cat(within).all() & (self.groups <= most))
