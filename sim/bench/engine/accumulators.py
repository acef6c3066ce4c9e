"""The accumulators of a grid, as write-back sees them."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hw import layouts
from hw.engine.grid import Grid
from sim.bench.blocks import drive
from sim.bench.engine.stores import CONFIG, GROUPS, LANES, Position

__all__ = ["PLACES", "Accumulators"]

PLACES = 1 << layouts.row(CONFIG).width  # of both buffers


class Accumulators:
    """The accumulators of a grid and its `full` flags.

    Attributes
    ----------
    waiting : positions that come into a buffer once it is drained, at once or, if `slow`, later
    joined : whether each of them needs both
    """

    def __init__(self, dut: Any, *, slow: bool = False) -> None:
        self.waiting: list[Position] = []
        self.joined = False
        self._dut = dut
        self._buffers: list[Position | None] = [None, None]
        self._full = [False, False]
        self._next = 0
        self._pause = 0.9 if slow else 0.0
        self._totals: deque[int] = deque()
        self._reset()
        cocotb.start_soon(self._serve())

    def _reset(self) -> None:
        self.waiting.clear()
        self._buffers, self._full = [None, None], [False, False]
        self._next = 0
        self._totals = deque([0] * (Grid.TOTAL_LATENCY - 1))
        drive(self._dut, full=0)

    async def _serve(self) -> None:
        dut = self._dut
        numbers = random.Random(3)
        while True:
            await RisingEdge(dut.clk)
            if int(dut.rst.value):
                self._reset()
                continue
            self._totals.append(self._read())
            dut.totals.value = self._totals.popleft()
            drained = self._drain()
            # A buffer that was drained is not full in the next cycle, whatever waits for it.
            needed = range(2) if self.joined else (self._next,)
            free = all(self._buffers[n] is None and n != drained for n in needed)
            if self.waiting and free and numbers.random() >= self._pause:
                self._buffers[self._next] = self.waiting.pop(0)
                self._full[self._next] = True
                self._next ^= 1
            dut.full.value = sum(1 << n for n in range(2) if self._full[n])

    def _asked(self) -> tuple[int, int]:
        """Buffer and row that are drained."""
        buffer, place = int(self._dut.drain__buffer.value), int(self._dut.drain__place.value)
        if self.joined:
            return buffer, place
        in_buffer, row = divmod(place, PLACES // 2)
        assert in_buffer == buffer, "unless both are one, the high bit of a place is the buffer"
        return buffer, row

    def _drain(self) -> int | None:
        """Follow the drain; returns the buffer whose last row was read, if one's was."""
        dut = self._dut
        if int(dut.clearing.value) or not int(dut.drain__enable.value):
            assert not int(dut.drain__release.value)
            return None
        buffer, row = self._asked()
        position = self._buffers[buffer]
        if int(dut.drain__release.value):
            assert self._full[buffer], "released once"
            self._full[buffer] = False
        if not position or row < len(position) - 1:
            return None
        assert not self._full[buffer], "released with the last row at the latest"
        self._buffers[buffer] = None
        return buffer

    def _read(self) -> int:
        """The totals that are asked for; if they must not be stored, all ones."""
        dut, width = self._dut, CONFIG.accumulator_bits
        lanes = [[-1] * GROUPS] * LANES
        if int(dut.drain__enable.value) and not int(dut.clearing.value):
            buffer, row = self._asked()
            if position := self._buffers[buffer]:
                lanes = position[row]
        totals = (total & (1 << width) - 1 for groups in lanes for total in groups)
        return sum(total << place * width for place, total in enumerate(totals))
