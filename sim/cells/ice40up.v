// SPRAM of Lattice's iCE40 UltraPlus (FPGA-TN-02022), as far as it is used; see block_ram.v.
module SB_SPRAM256KA (
    input [13:0] ADDRESS,
    input [15:0] DATAIN,
    input [3:0] MASKWREN,
    input WREN, CHIPSELECT, CLOCK, STANDBY, SLEEP, POWEROFF,
    output reg [15:0] DATAOUT
);
    reg [15:0] memory [0:(1 << 14) - 1];
    wire [15:0] written = {
        {4{MASKWREN[3]}}, {4{MASKWREN[2]}}, {4{MASKWREN[1]}}, {4{MASKWREN[0]}}
    };
    always @(posedge CLOCK) begin
        if (STANDBY || SLEEP || !POWEROFF)
            $fatal(1, "SB_SPRAM256KA: its modes of less power are not modelled");
        if (CHIPSELECT && WREN) begin
            memory[ADDRESS] <= (memory[ADDRESS] & ~written) | (DATAIN & written);
            DATAOUT <= ~DATAIN;  // nothing is promised
        end
        if (CHIPSELECT && !WREN) DATAOUT <= memory[ADDRESS];
    end
endmodule
