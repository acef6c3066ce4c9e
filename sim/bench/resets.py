"""Bench of the clocks and resets of boards, side by side in one module.

Each board is an instance that holds `probe`, with `reset` and `clock` of its domain, and a PLL
whose clock is `times` / `by` that of the oscillator. Ports of the module: `clock` is every
oscillator, `locked` every PLL's, and NAME_button the pin of a board's button.

Parameter of the bench: `boards`, name -> `oscillator_hz`, `clock_hz` and `pressed`, the level of
the pin while the button is pressed; None for a board without one.
"""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from sim.bench.streams import PERIOD_NS, parameters

# More cycles than any board keeps its reset after its PLL is locked: 15 µs, on the iCE40.
_SETTLED = 1000
# A press, as seen behind the flip-flops that take it into the clock domain.
_SEEN = 4


class _Boards:
    """All boards, and what happens to them at once."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.boards: dict[str, dict[str, Any]] = parameters()["boards"]

    async def begin(self) -> None:
        """No PLL locked, no button pressed."""
        self.dut.locked.value = 0
        self.press(False)
        Clock(self.dut.clock, PERIOD_NS, unit="ns").start()
        await self.cycles(_SETTLED)

    def press(self, pressed: bool) -> None:
        for name, board in self.boards.items():
            if board["pressed"] is not None:
                getattr(self.dut, f"{name}_button").value = board["pressed"] ^ (not pressed)

    async def cycles(self, number: int) -> None:
        await ClockCycles(self.dut.clock, number)

    def in_reset(self) -> set[str]:
        return {name for name in self.boards if int(getattr(self.dut, name).probe.reset.value)}

    @property
    def with_button(self) -> set[str]:
        return {name for name, board in self.boards.items() if board["pressed"] is not None}


@cocotb.test()
async def clocks_are_those_of_the_boards(dut: Any) -> None:
    boards = _Boards(dut)
    await boards.begin()
    for name, board in boards.boards.items():
        pll = getattr(dut, name).cd_sync.pll
        times, by = int(pll.times.value), int(pll.by.value)
        assert board["oscillator_hz"] * times == board["clock_hz"] * by, name


@cocotb.test()
async def reset_until_locked(dut: Any) -> None:
    boards = _Boards(dut)
    await boards.begin()
    assert boards.in_reset() == set(boards.boards)
    dut.locked.value = 1
    await boards.cycles(_SETTLED)
    assert boards.in_reset() == set()


@cocotb.test()
async def reset_while_the_button_is_pressed(dut: Any) -> None:
    boards = _Boards(dut)
    await boards.begin()
    dut.locked.value = 1
    await boards.cycles(_SETTLED)
    for _ in range(2):
        boards.press(True)
        await boards.cycles(_SEEN)
        for _ in range(3):
            assert boards.in_reset() == boards.with_button
            await boards.cycles(_SETTLED)
        boards.press(False)
        await boards.cycles(_SEEN)
        assert boards.in_reset() == set()
