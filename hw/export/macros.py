"""Memories as black boxes: a platform that puts an instance in the place of each."""

from dataclasses import dataclass

from amaranth.hdl import ClockSignal, Instance, Module, Shape, Value
from amaranth.lib.memory import Memory

from ..config import ConfigError

__all__ = ["Macro", "Macros"]


@dataclass(frozen=True, order=True)
class Macro:
    """What a memory must be: one clock, and ports that are all used at the same time.

    Parameters
    ----------
    width, depth : int
        Bits per item, and items.
    parts : int
        Enable bits of a write port, each for as many bits of an item.
    writes : int
        Write ports.
    reads : tuple of str
        For each read port `sync`, read a cycle later, which keeps what was read while its enable is
        low; or `async`, read at once: made of flip-flops or latches, for that is no SRAM.
    """

    width: int
    depth: int
    parts: int
    writes: int
    reads: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the wrapper: memory_DEPTHxWIDTH, ports, and parts if there are several."""
        kinds = dict.fromkeys(self.reads)
        ports = "".join(f"_{self.reads.count(kind)}{kind}" for kind in kinds)
        parts = f"_{self.parts}parts" if self.parts > 1 else ""
        return f"memory_{self.depth}x{self.width}_{self.writes}w{ports}{parts}"

    @property
    def address(self) -> int:
        """Bits of an address."""
        return max(0, (self.depth - 1).bit_length())

    @property
    def bits(self) -> int:
        return self.width * self.depth

    @property
    def ports(self) -> dict[str, tuple[str, int]]:
        """Name of each port -> direction and bits; a memory of one item has no addresses."""
        ports = {"clk": ("input", 1)}
        for n in range(self.writes):
            ports |= {
                f"w{n}_en": ("input", self.parts),
                f"w{n}_addr": ("input", self.address),
                f"w{n}_data": ("input", self.width),
            }
        for n, kind in enumerate(self.reads):
            if kind == "sync":
                ports[f"r{n}_en"] = ("input", 1)
            ports |= {f"r{n}_addr": ("input", self.address), f"r{n}_data": ("output", self.width)}
        return {name: port for name, port in ports.items() if port[1]}

    def declaration(self) -> str:
        """Verilog of the module's head."""
        lines = [
            f"    {direction} {f'[{bits - 1}:0] ' if bits > 1 else ''}{name}"
            for name, (direction, bits) in self.ports.items()
        ]
        return f"module {self.name} (\n" + ",\n".join(lines) + "\n);\n"

    def black_box(self) -> str:
        """Verilog of the module without anything in it."""
        return f"(* blackbox *)\n{self.declaration()}endmodule\n"

    def model(self) -> str:
        """Verilog of its behaviour. At power-up it holds random bits, as an SRAM does."""
        part = self.width // self.parts
        words = ", ".join(["$random"] * -(-self.width // 32))
        lines = [
            f"    reg [{self.width - 1}:0] items [0:{self.depth - 1}];",
            "    integer n;",
            f"    initial for (n = 0; n < {self.depth}; n = n + 1) items[n] = {{{words}}};",
        ]
        clocked = []
        for n in range(self.writes):
            for p in range(self.parts):
                enable = f"w{n}_en[{p}]" if self.parts > 1 else f"w{n}_en"
                bits = f"[{part * p} +: {part}]" if self.parts > 1 else ""
                clocked.append(f"if ({enable}) items[w{n}_addr]{bits} <= w{n}_data{bits};")
        for n, kind in enumerate(self.reads):
            if kind == "sync":
                lines.append(f"    reg [{self.width - 1}:0] r{n};")
                clocked.append(f"if (r{n}_en) r{n} <= items[r{n}_addr];")
            source = f"r{n}" if kind == "sync" else f"items[r{n}_addr]"
            lines.append(f"    assign r{n}_data = {source};")
        always = ["    always @(posedge clk) begin", *(f"        {line}" for line in clocked)]
        return self.declaration() + "\n".join([*lines, *always, "    end", "endmodule", ""])


class Macros:
    """What Amaranth asks for memories, as it asks a vendor's platform.

    Attributes
    ----------
    used : set of Macro
        What it was asked for so far.
    """

    def __init__(self) -> None:
        self.used: set[Macro] = set()

    def get_memory(self, memory: Memory) -> Module:
        """The memory as an instance of a wrapper.

        Raises
        ------
        ConfigError
            If it is to hold something at power-up, or has ports that no wrapper has.
        """
        macro = _macro(memory)
        self.used.add(macro)
        ports = {"i_clk": ClockSignal()}
        for n, port in enumerate(memory.write_ports):
            ports |= {
                f"i_w{n}_en": port.en,
                f"i_w{n}_addr": port.addr,
                f"i_w{n}_data": Value.cast(port.data),
            }
        for n, port in enumerate(memory.read_ports):
            ports |= {
                f"i_r{n}_en": port.en,
                f"i_r{n}_addr": port.addr,
                f"o_r{n}_data": Value.cast(port.data),
            }
        wired = {name: value for name, value in ports.items() if name[2:] in macro.ports}
        m = Module()
        m.submodules.macro = Instance(macro.name, **wired)
        return m


def _macro(memory: Memory) -> Macro:
    width = Shape.cast(memory.shape).width
    writes, reads = memory.write_ports, memory.read_ports
    if any(memory.init):
        raise ConfigError(f"a memory of {memory.depth} × {width} bits has contents at power-up")
    parts = {len(port.en) for port in writes}
    domains = {port.domain for port in (*writes, *reads)} - {"comb"}
    if domains != {"sync"} or len(parts) != 1 or any(port.transparent_for for port in reads):
        raise ConfigError(f"a memory of {memory.depth} × {width} bits has ports of another kind")

    kinds = tuple("async" if port.domain == "comb" else "sync" for port in reads)
    return Macro(width, memory.depth, parts.pop(), len(writes), kinds)
