"""The accelerator for others' designs: Verilog with a bus that they know, and what describes it.

```
 wb_*      ─► wishbone ──┐
 request … ──────────────┴─► engine
```
"""

from .project import KINDS, Export, ExportError, check, write

__all__ = ["KINDS", "Export", "ExportError", "check", "write"]
