// Cells around the reset of boards, as far as they are used there. The clock of a PLL is that of its
// input, and the true one `times` / `by` of that; it is locked while `boards.locked`, the test, says so.

module EHXPLLL (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
    input PLLWAKESYNC, ENCLKOP,
    output CLKOP, LOCK
);
    parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0;
    parameter CLKOP_ENABLE = "DISABLED", FEEDBK_PATH = "";
    // The feedback is of the output.
    wire [31:0] times = CLKFB_DIV, by = CLKI_DIV;
    assign CLKOP = CLKI, LOCK = boards.locked & ~RST & ~STDBY;
endmodule

module SB_PLL40_CORE (input REFERENCECLK, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK);
    parameter FEEDBACK_PATH = "", DIVR = 0, DIVF = 0, DIVQ = 0, FILTER_RANGE = 0;
    wire [31:0] times = DIVF + 1, by = (DIVR + 1) << DIVQ;
    assign PLLOUTGLOBAL = REFERENCECLK, LOCK = boards.locked & RESETB;
endmodule

module SB_PLL40_PAD (input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK);
    parameter FEEDBACK_PATH = "", DIVR = 0, DIVF = 0, DIVQ = 0, FILTER_RANGE = 0;
    wire [31:0] times = DIVF + 1, by = (DIVR + 1) << DIVQ;
    assign PLLOUTGLOBAL = PACKAGEPIN, LOCK = boards.locked & RESETB;
endmodule

module rPLL (
    input CLKIN, CLKFB, RESET, RESET_P,
    input [5:0] FBDSEL, IDSEL, ODSEL,
    input [3:0] PSDA, DUTYDA, FDLY,
    output CLKOUT, LOCK
);
    parameter DEVICE = "", FCLKIN = "", CLKFB_SEL = "", PSDA_SEL = "", DUTYDA_SEL = "";
    parameter IDIV_SEL = 0, FBDIV_SEL = 0, ODIV_SEL = 8, DYN_SDIV_SEL = 2;
    parameter DYN_IDIV_SEL = "", DYN_FBDIV_SEL = "", DYN_ODIV_SEL = "", DYN_DA_EN = "";
    parameter CLKOUT_BYPASS = "", CLKOUTP_BYPASS = "", CLKOUTD_BYPASS = "";
    parameter CLKOUTD_SRC = "", CLKOUTD3_SRC = "";
    wire [31:0] times = FBDIV_SEL + 1, by = IDIV_SEL + 1;
    assign CLKOUT = CLKIN, LOCK = boards.locked & ~RESET & ~RESET_P;
endmodule

module PLLE2_BASE (input CLKIN1, CLKFBIN, PWRDWN, RST, output CLKFBOUT, CLKOUT0, LOCKED);
    parameter CLKFBOUT_MULT = 5, CLKOUT0_DIVIDE = 1;
    parameter real CLKIN1_PERIOD = 0.0;
    wire [31:0] times = CLKFBOUT_MULT, by = CLKOUT0_DIVIDE;
    assign CLKFBOUT = CLKIN1, CLKOUT0 = CLKIN1, LOCKED = boards.locked & ~RST & ~PWRDWN;
endmodule

module MMCME2_BASE (input CLKIN1, CLKFBIN, PWRDWN, RST, output CLKFBOUT, CLKOUT0, LOCKED);
    parameter real CLKFBOUT_MULT_F = 5.0, CLKOUT0_DIVIDE_F = 1.0, CLKIN1_PERIOD = 0.0;
    // Both are in eighths.
    wire [31:0] times = $rtoi(8 * CLKFBOUT_MULT_F), by = $rtoi(8 * CLKOUT0_DIVIDE_F);
    assign CLKFBOUT = CLKIN1, CLKOUT0 = CLKIN1, LOCKED = boards.locked & ~RST & ~PWRDWN;
endmodule

module BUFG (input I, output O);
    assign O = I;
endmodule

module IB (input I, output O);
    assign O = I;
endmodule

module IBUF (input I, output O);
    assign O = I;
endmodule

module SB_IO (inout PACKAGE_PIN, output D_IN_0);
    parameter IO_STANDARD = "", PIN_TYPE = 0;
    assign D_IN_0 = PACKAGE_PIN;
endmodule

module SB_GB_IO (inout PACKAGE_PIN, output GLOBAL_BUFFER_OUTPUT);
    parameter IO_STANDARD = "", PIN_TYPE = 0;
    assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
endmodule

module FDPE (input C, CE, D, PRE, output reg Q);
    parameter INIT = 1'b1;
    initial Q = INIT;
    always @(posedge C, posedge PRE)
        if (PRE) Q <= 1'b1;
        else if (CE) Q <= D;
endmodule

// In the clock domain of a board.
module probe (input clock, reset);
endmodule
