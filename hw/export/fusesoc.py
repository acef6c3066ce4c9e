"""A FuseSoC core (CAPI2) of an export."""

from collections.abc import Sequence

from ..regmap import VERSION
from .verilog import TOP

__all__ = ["core"]


def core(kind: str, memories: Sequence[str]) -> str:
    """Text of a .core file.

    Parameters
    ----------
    memories : names of the files of contents, which simulations find in their working folder
    """
    files = "".join(
        f"      - {name}: {{file_type: user, copyto: {name}}}\n" for name in sorted(memories)
    )
    return f"""CAPI=2:
# The version is that of the register map.
name: thresher:export:{TOP}_{kind}:{VERSION}.0.0
description: Thresher, an engine for compressed neural networks, behind {kind}

filesets:
  rtl:
    files:
      - {TOP}.v: {{file_type: verilogSource}}
{files}
targets:
  default:
    filesets: [rtl]
    toplevel: {TOP}

  lint:
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wno-fatal, -Wno-lint, -Wno-style]
    filesets: [rtl]
    toplevel: {TOP}
"""
