"""Faults of the boards' clocks and resets."""

__all__ = ["FAULTS"]

_RESETS = "tests/hw/test_board_resets.py"

# By file and tests: what is wrong, the text, and what it becomes.
FAULTS = {
    ("boards/ecp5.py", _RESETS): (
        ("no reset until locked", "reset = ~locked", "reset = locked"),
        ("the button does nothing", "reset |= button.i", "pass"),
        ("the button is released when it is pressed", "reset |= button.i", "reset |= ~button.i"),
        ("the clock is faster", "p_CLKI_DIV=divide_in", "p_CLKI_DIV=1"),
    ),
    ("boards/gowin.py", _RESETS): (
        ("no reset until locked", "~locked | button.i", "locked | button.i"),
        ("the button does nothing", "~locked | button.i", "~locked"),
        ("the clock is slower", "p_IDIV_SEL=divide_in", "p_IDIV_SEL=divide_in + 1"),
    ),
    ("boards/ice40.py", _RESETS): (
        ("the wait begins before it is locked", "m.Elif(locked)", "m.Else()"),
        ("the wait does not end", "m.Elif(locked)", "m.Elif(~locked)"),
        ("the button does nothing", "reset |= button.i", "pass"),
        ("the clock is faster", "p_DIVF=multiplier", "p_DIVF=multiplier + 1"),
    ),
    ("boards/xc7.py", _RESETS): (
        ("no reset until locked", "ResetSynchronizer(~locked", "ResetSynchronizer(locked"),
        ("the button does nothing", "i_RST=button.i", "i_RST=0"),
        ("the button is released when it is pressed", "i_RST=button.i", "i_RST=~button.i"),
        ("the clock is slower", "self.pll_hz // self.clock_hz", "self.pll_hz // self.clock_hz + 1"),
    ),
}
