"""What the bridge and the driver say to each other over a serial line (see `hw.link.uartbone`)."""

import enum

__all__ = ["Opcode"]


class Opcode(enum.IntEnum):
    """First byte of a command. The bridge decodes it by bits: it writes where bit 0 is 1."""

    WRITE = 1
    READ = 2
    WRITE_FIXED = 3
    READ_FIXED = 4
