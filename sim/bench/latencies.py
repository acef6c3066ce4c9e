"""Cycles from one place to another, as the blocks' docstrings promise them; benches insist on them.

What another block must know of is a constant of its block in `hw`, and not repeated here.
"""

from __future__ import annotations

__all__ = [
    "BEGINS",
    "CLEARED",
    "COUNTER",
    "COUNTS",
    "DECODER",
    "FETCH",
    "FIRST_TOKEN",
    "FULL",
    "FULL_EVERYWHERE",
    "HOST_READ",
    "INSTRUCTION_READ",
    "LOOKUP",
    "POINTERS",
    "QUEUE",
    "SUMMED",
    "TOTAL",
    "WORD",
]

LOOKUP = 2  # in a loaded memory
POINTERS = 3  # from a token to its column
QUEUE = 1
FETCH = 3  # from the taking of a column to its first entry
DECODER = 2  # from an entry to its operand
FULL = 3  # from the operand with the marker until its buffer counts as full
SUMMED = 5  # from an operand until its accumulator may be drained
CLEARED = 2  # from the drain of an accumulator to the next operand for it
TOTAL = 3  # from the drain of an accumulator to its total

# Of the grid.
FULL_EVERYWHERE = 1  # from when a buffer is full in every element until it counts as full
COUNTS = 3  # from what elements do until it is counted

# Of a feeder.
FIRST_TOKEN = 9  # from the start of a layer to the first token
WORD = 5  # from the reading of a word to its first token

BEGINS = 2  # from the start of a run, or from when a layer is fed, to the feeding of the next

INSTRUCTION_READ = 3  # from the beginning of a layer until the next instruction is looked up

# Of what the host reads.
HOST_READ = 3  # from an address of the host's to the activations or the counter there
COUNTER = 2  # from the place of a counter to it
