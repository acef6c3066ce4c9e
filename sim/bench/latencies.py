"""Cycles from one place to another, as the blocks' docstrings promise them; benches insist on them.

What another block must know of is a constant of its block in `hw`, and not repeated here.
"""

from __future__ import annotations

__all__ = ["DECODER", "FETCH", "FULL", "LOOKUP", "POINTERS", "QUEUE", "SUMMED", "TOTAL"]

LOOKUP = 1  # in a loaded memory
POINTERS = 2  # from a token to its column
QUEUE = 1
FETCH = 3  # from the taking of a column to its first entry
DECODER = 2  # from an entry to its operand
FULL = 2  # from the operand with the marker until its buffer counts as full
SUMMED = 4  # from an operand until its accumulator may be drained
TOTAL = 2  # from the drain of an accumulator to its total
