"""The engine: sequencer, feeders, grid, write-back, activation memories, counters, host port."""

from .engine import Engine

__all__ = ["Engine"]
