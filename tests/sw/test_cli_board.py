"""`thresher board`: what it refuses."""

import pytest
from click.testing import CliRunner

from sw.cli import main


def refused(*arguments):
    """What the command says of arguments that it refuses."""
    result = CliRunner().invoke(main, ["board", *map(str, arguments)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


class TestBaud:
    """The receiver stands 2 %, and a bit takes a whole number of clock cycles, 4 or more."""

    @pytest.mark.parametrize("baud", [-1, 0, 1999])
    def test_too_low(self, baud):
        assert "must be 2000 or more" in refused("--virtual", "arty", "--baud", baud)

    @pytest.mark.parametrize(
        ("board", "baud", "nearest"),
        [
            ("arty", 12_900_000, 12_500_000),  # 50 MHz / 4
            ("arty", 50_000_000, 12_500_000),
            ("arty", 11_000_000, 10_000_000),
            ("icebreaker", 2_000_000, 1_909_091),  # 21 MHz / 11
            ("icebreaker", 2_150_000, 2_100_000),
        ],
    )
    def test_no_whole_divisor(self, board, baud, nearest):
        message = refused("--virtual", board, "--baud", baud)
        assert f"--baud is {baud}; the nearest rate of " in message
        assert f" UART is {nearest}, " in message
