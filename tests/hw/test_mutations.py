"""The faults of `tests.mutations` are still faults of the hardware: each text is there once."""

from pathlib import Path

import hw
from tests.mutations.faults import MUTATIONS


def test_every_text_stands_once():
    folder = Path(hw.__file__).parent
    wrong = [
        f"hw/{fault.file}: {fault.old}"
        for fault in MUTATIONS
        if (folder / fault.file).read_text().count(fault.old) != 1
    ]
    assert len(MUTATIONS) > 100
    assert not wrong
