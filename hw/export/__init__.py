"""The accelerator for others' designs: Verilog with a bus that they know, and what describes it.

Or with its memories as black boxes, for an ASIC. docs/architecture.md has the block diagram.
"""

from .folder import ExportError
from .project import KINDS, Export, check, write
from .resident import Activations, Resident

__all__ = ["KINDS", "Activations", "Export", "ExportError", "Resident", "check", "write"]
