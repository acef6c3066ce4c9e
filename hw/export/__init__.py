"""The accelerator for others' designs: Verilog with a bus that they know, and what describes it.

Or with its memories as black boxes, for an ASIC. docs/architecture.md has the block diagram.
"""

from .folder import ExportError
from .project import KINDS, Export, check, write

__all__ = ["KINDS", "Export", "ExportError", "check", "write"]
