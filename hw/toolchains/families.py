"""What is to be known of each family of FPGAs: how Yosys synthesises for it, and its primitives."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """A family of FPGAs, as Yosys sees it.

    Parameters
    ----------
    synthesis : str
        Yosys' command and its options.
    no_pads : str
        Its options for a part of a design, whose ports are not pins.
    primitives : name -> resource -> number
        How much of each resource a primitive takes.
    free : set of str
        Primitives that are beside the LUTs, or of which there is no shortage.
    """

    synthesis: str
    no_pads: str
    primitives: Mapping[str, Mapping[str, float]]
    free: frozenset[str]

    @property
    def options(self) -> str:
        """The options of the command alone."""
        return self.synthesis.partition(" ")[2]


# A distributed memory takes the LUTs that it is made of, on the ECP5 also the two whose inputs its
# write port takes. An inverter is a LUT until a vendor's tool merges it (UG474 and UG473 of Xilinx;
# FPGA-DS-02012 of Lattice).
_XC7 = {
    **{f"LUT{inputs}": {"lut": 1} for inputs in range(1, 7)},
    **{name: {"lut": 1} for name in ("INV", "SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S")},
    **{name: {"lut": 2} for name in ("RAM32X1D", "RAM64X1D", "RAM128X1S")},
    **{name: {"lut": 4} for name in ("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S")},
    **{name: {"ff": 1} for name in ("FDRE", "FDSE", "FDCE", "FDPE")},
    "RAMB18E1": {"bram36": 0.5},
    "RAMB36E1": {"bram36": 1},
    "DSP48E1": {"dsp": 1},
}
_ECP5 = {
    "LUT4": {"lut": 1},
    "CCU2C": {"lut": 2},
    "TRELLIS_DPR16X4": {"lut": 6},
    "TRELLIS_FF": {"ff": 1},
    "DP16KD": {"ebr": 1},
    "MULT18X18D": {"dsp": 1},
}
# A carry shares its cell with the LUT of the sum (Lattice FPGA-DS-02008, FPGA-DS-02029).
_ICE40 = {
    "SB_LUT4": {"lut": 1},
    **{
        f"SB_DFF{edge}{controls}": {"ff": 1}
        for edge in ("", "N")
        for controls in ("", "E", "SR", "SS", "R", "S", "ESR", "ESS", "ER", "ES")
    },
    "SB_RAM40_4K": {"ebr4": 1},
}
_ICE40_FREE = frozenset({"SB_CARRY", "SB_IO", "SB_GB", "SB_GB_IO", "SB_PLL40_PAD", "SB_PLL40_CORE"})
_ICE40UP = _ICE40 | {"SB_MAC16": {"dsp": 1}, "SB_SPRAM256KA": {"spram": 1}}
# An ALU is a LUT with its carry; a distributed memory is four LUTs, and two whose inputs its write
# port takes; a multiplier of 9 × 9 bits is half of one of 18 × 18 (Gowin UG288, UG285, UG287).
_GW1N = {
    **{f"LUT{inputs}": {"lut": 1} for inputs in range(1, 5)},
    "ALU": {"lut": 1},
    "RAM16SDP4": {"lut": 6},
    **{
        f"DFF{edge}{controls}": {"ff": 1}
        for edge in ("", "N")
        for controls in ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")
    },
    **{name: {"bsram": 1} for name in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B")},
    "MULT9X9": {"dsp": 0.5},
    "MULT18X18": {"dsp": 1},
}

FAMILIES = {
    "xc7": Family(
        # A word's delay takes flip-flops, of which there are two beside every LUT, and no LUTs.
        "synth_xilinx -family xc7 -flatten -nosrl",
        "-noiopad -noclkbuf",
        _XC7,
        frozenset({"CARRY4", "MUXF7", "MUXF8", "IBUF", "OBUF", "OBUFT", "BUFG", "BUFGCTRL"})
        | {"PLLE2_BASE", "MMCME2_BASE", "STARTUPE2"},
    ),
    "ecp5": Family(
        "synth_ecp5",
        "-noiopad",
        _ECP5,
        frozenset({"PFUMX", "L6MUX21", "IB", "OBZ", "TRELLIS_IO", "EHXPLLL"}),
    ),
    "ice40up": Family(
        # Flip-flops in a tile share their enable. Those that would have it almost to themselves do
        # without, else a full part has no place for them.
        "synth_ice40 -device u -dsp -dffe_min_ce_use 9",
        "",
        _ICE40UP,
        _ICE40_FREE,
    ),
    "ice40hx": Family(
        "synth_ice40 -device hx",
        "",
        _ICE40,
        _ICE40_FREE,
    ),
    "gw1n": Family(
        "synth_gowin -family gw1n",
        "-noiopads",
        _GW1N,
        frozenset({"GND", "VCC", "GSR", "IBUF", "OBUF", "TBUF", "rPLL"})
        | {f"MUX2_LUT{inputs}" for inputs in range(5, 9)},
    ),
}
