"""The compressed networks that the project ships."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LENET300100"]

# Trained and compressed by `make network` (see sw/networks/README.md).
LENET300100 = Path(__file__).with_name("lenet300100.thr")
