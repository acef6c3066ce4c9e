// A block RAM of 9-bit bytes with two ports, each as wide as it likes, and one clock.
//
// Yosys' own models of block RAMs hold their timing but not what they do. These follow the vendors'
// descriptions (Xilinx UG473, Lattice FPGA-TN-02204) as far as Yosys maps memories to them; what
// they do not cover stops the simulation.
//
// Widths below 9 leave the ninth bits alone. Bits that one port reads while the other writes them
// are as before if OLD is set; else they come inverted, since the vendors promise nothing.
module block_ram #(
    parameter ADDRESS = 14,  // bits; the place of a byte begins at bit 3
    parameter READ_A = 0, WRITE_A = 0, READ_B = 0, WRITE_B = 0,  // widths; 0: not used
    // What a port reads while it writes: what was there (READ_FIRST), what is written (WRITE_FIRST),
    // or nothing, so that it keeps what it read before (NO_CHANGE).
    parameter MODE_A = "READ_FIRST", MODE_B = "READ_FIRST",
    parameter OLD = 0
) (
    input clock,
    input enable_a, enable_b,
    input [ADDRESS-1:0] address_a, address_b,
    input [7:0] write_a, write_b,  // for each byte of the word
    input [71:0] in_a, in_b,
    output reg [71:0] out_a, out_b
);
    // The module around it puts in the initial contents.
    reg [8:0] memory [0:(1 << (ADDRESS - 3)) - 1];
    initial out_a = 0;
    initial out_b = 0;

    function integer bytes(input integer width);
        bytes = width == 0 ? 0 : width < 9 ? 1 : width / 9;
    endfunction
    // Place of byte k of the word at an address.
    function integer place(input integer width, input [ADDRESS-1:0] address, input integer k);
        place = ((address >> 3) & ~(width < 9 ? 0 : width / 9 - 1)) + k;
    endfunction
    // Where a word that is narrower than a byte lies in it, and which of its bits it has.
    function integer low(input integer width, input [ADDRESS-1:0] address);
        low = width < 9 ? address & (8 - width) : 0;
    endfunction
    function [8:0] bits(input integer width, input [ADDRESS-1:0] address);
        bits = width < 9 ? ((1 << width) - 1) << low(width, address) : 9'h1ff;
    endfunction

    // Bits of the byte at a place that a port writes, and the values that it writes there.
    function [17:0] written(
        input integer width, input enable, input [ADDRESS-1:0] address, input [7:0] write,
        input [71:0] in, input integer at
    );
        integer k;
        begin
            written = 0;
            for (k = 0; k < bytes(width); k = k + 1)
                if (enable && write[k] && place(width, address, k) == at)
                    written = {bits(width, address), in[9*k +: 9] << low(width, address)};
        end
    endfunction

    // Byte k of what a port reads, given what it and the other port write.
    function [8:0] seen(
        input [8:0] stored, input [17:0] own, input [17:0] other, input new_data,
        input integer width, input [ADDRESS-1:0] address
    );
        reg [8:0] value;
        begin
            value = OLD ? stored : stored ^ other[17:9];
            if (new_data) value = (value & ~own[17:9]) | (own[8:0] & own[17:9]);
            seen = (value & bits(width, address)) >> low(width, address);
        end
    endfunction

    wire writes_a = WRITE_A != 0 && |write_a;
    wire writes_b = WRITE_B != 0 && |write_b;
    integer k, at;
    reg [17:0] from_a, from_b;
    always @(posedge clock) begin
        if (enable_a && !(MODE_A == "NO_CHANGE" && writes_a))
            for (k = 0; k < bytes(READ_A); k = k + 1) begin
                at = place(READ_A, address_a, k);
                from_a = written(WRITE_A, enable_a, address_a, write_a, in_a, at);
                from_b = written(WRITE_B, enable_b, address_b, write_b, in_b, at);
                out_a[9*k +: 9] <=
                    seen(memory[at], from_a, from_b, MODE_A == "WRITE_FIRST", READ_A, address_a);
            end
        if (enable_b && !(MODE_B == "NO_CHANGE" && writes_b))
            for (k = 0; k < bytes(READ_B); k = k + 1) begin
                at = place(READ_B, address_b, k);
                from_a = written(WRITE_A, enable_a, address_a, write_a, in_a, at);
                from_b = written(WRITE_B, enable_b, address_b, write_b, in_b, at);
                out_b[9*k +: 9] <=
                    seen(memory[at], from_b, from_a, MODE_B == "WRITE_FIRST", READ_B, address_b);
            end
        for (k = 0; k < bytes(WRITE_A); k = k + 1) begin
            at = place(WRITE_A, address_a, k);
            from_a = written(WRITE_A, enable_a, address_a, write_a, in_a, at);
            if (|from_a) memory[at] <= (memory[at] & ~from_a[17:9]) | (from_a[8:0] & from_a[17:9]);
        end
        for (k = 0; k < bytes(WRITE_B); k = k + 1) begin
            at = place(WRITE_B, address_b, k);
            from_b = written(WRITE_B, enable_b, address_b, write_b, in_b, at);
            if (|from_b) memory[at] <= (memory[at] & ~from_b[17:9]) | (from_b[8:0] & from_b[17:9]);
        end
    end
endmodule
