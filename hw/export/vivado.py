"""A Tcl script that puts an export into a block design of Vivado."""

from .verilog import TOP

__all__ = ["block_design"]

_CONNECT = {
    "axi": """
# Then, with the names of your design, such as those of a Zynq-7000 and a DMA:
#   apply_bd_automation -rule xilinx.com:bd_rule:axi4 \\
#       -config {Master /processing_system7_0/M_AXI_GP0 Clk Auto} \\
#       [get_bd_intf_pins $cell/s_axil]
#   connect_bd_intf_net [get_bd_intf_pins axi_dma_0/M_AXIS_MM2S] \\
#       [get_bd_intf_pins $cell/s_axis]
#   connect_bd_intf_net [get_bd_intf_pins $cell/m_axis] \\
#       [get_bd_intf_pins axi_dma_0/S_AXIS_S2MM]
""",
    "wishbone": "\n# Vivado knows no Wishbone: connect the ports wb_* one by one.\n",
    "verilog": "\n# Connect the ports one by one.\n",
}


def block_design(kind: str) -> str:
    """Text of the script, to be sourced while a block design is open."""
    return f"""# Puts this folder's accelerator into the block design that is open.
# Written after Vivado's documentation; it has not been run in Vivado.
set folder [file dirname [file normalize [info script]]]
add_files -norecurse [file join $folder {TOP}.v]
# Contents of memories, which Vivado finds by their names.
foreach contents [glob -nocomplain -directory $folder *.mem] {{
    add_files -norecurse $contents
}}
update_compile_order -fileset sources_1
set cell [create_bd_cell -type module -reference {TOP} {TOP}_0]
{_CONNECT[kind]}"""
