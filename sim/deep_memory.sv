// A deep memory of a simulated design, in the place of amaranth.lib.memory.Memory (sim/verilog.py).
// It has no initial contents, which would be millions of lines, and it can be filled fast: when a
// word is written to it, the words that the bus server holds ready (sim/bus_server.cpp) follow at
// once, to the addresses behind. Otherwise it does what any memory of one write port does, and a
// read in the cycle of a write gives what was there before.
module deep_memory #(
    parameter WIDTH = 1,
    parameter DEPTH = 2,
    parameter ADDRESS = 1,
    parameter READS = 1
) (
    input clk,
    input [READS-1:0] read_enable,
    input [READS*ADDRESS-1:0] read_address,
    output reg [READS*WIDTH-1:0] read_data,
    input write_enable,
    input [ADDRESS-1:0] write_address,
    input [WIDTH-1:0] write_data
);
  import "DPI-C" function int ready_words();
  import "DPI-C" function int ready_word(input int place);

  reg [WIDTH-1:0] memory[0:DEPTH-1];
  int words;

  always @(posedge clk) begin
    for (int port = 0; port < READS; port++)
      if (read_enable[port])
        read_data[port*WIDTH+:WIDTH] <= memory[read_address[port*ADDRESS+:ADDRESS]];
    if (write_enable) begin
      memory[write_address] = write_data;
      words = ready_words();
      for (int place = 0; place < words; place++)
        if (int'(write_address) + 1 + place < DEPTH)
          memory[int'(write_address)+1+place] = WIDTH'(ready_word(place));
    end
  end
endmodule
