"""The accelerator for others' flows: as Verilog with its memories as black boxes, for an ASIC."""
