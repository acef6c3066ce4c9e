from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from .. import layouts

__all__ = ["TransferCrc"]

_BYTES = 2 * layouts.BUS_BITS // 8  # of a transfer


class TransferCrc(wiring.Component):
    """The CRC-32 of bus transfers, of each its address and then its word, little-endian.

    It is that of zlib. On a platform with `small_checksum` it takes a byte a cycle, else a word.

    Members
    -------
    address, word : In(32)
        Of a transfer; the address holds from its beginning until `busy` is over, the word from
        its end.
    began, ended : In(1)
        One cycle each, at the beginning of a transfer and later at its end.
    restart : In(1)
        Begin anew, between transfers.
    crc : Out(32)
        Of all transfers until two cycles ago, unless `busy`.
    busy : Out(1)
        No transfer may begin.
    """

    address: In(layouts.BUS_BITS)
    word: In(layouts.BUS_BITS)
    began: In(1)
    ended: In(1)
    restart: In(1)
    crc: Out(layouts.BUS_BITS)
    busy: Out(1)

    def elaborate(self, platform):
        m = Module()
        small = getattr(platform, "small_checksum", False)
        bits = 8 if small else layouts.BUS_BITS
        m.submodules.processor = processor = CRC32_ISO_HDLC(data_width=bits).create()
        m.d.comb += self.crc.eq(processor.crc)
        m.d.sync += processor.start.eq(self.restart)
        if small:
            self._take_bytes(m, processor)
        else:
            m.d.sync += [
                processor.valid.eq(self.began | self.ended),
                processor.data.eq(Mux(self.ended, self.word, self.address)),
            ]
        return m

    def _take_bytes(self, m, processor):
        """Give the processor the bytes of a transfer, one a cycle, after its end."""
        number = Signal(range(_BYTES))
        m.d.sync += [
            processor.valid.eq(self.busy),
            processor.data.eq(Cat(self.address, self.word).word_select(number, 8)),
        ]
        with m.If(self.ended):
            m.d.sync += self.busy.eq(1)
        with m.If(self.busy):
            m.d.sync += number.eq(number + 1)
            with m.If(number == _BYTES - 1):
                m.d.sync += self.busy.eq(0)
