"""An image on which the engine never finishes."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw import layouts
from hw.regmap import Window


def endless(image, step):
    """The image with write-back waiting for pixels that the walk of a step does not have."""
    layout = layouts.instruction(image.config)
    program = image.contents[Window.PROGRAM][0].copy()
    fields = layouts.decode(layout, int.from_bytes(program[step].astype("<u4").tobytes(), "little"))
    fields["store"]["pixels"] = 999
    bits = layouts.encode(layout, fields).to_bytes(4 * program.shape[1], "little")
    program[step] = np.frombuffer(bits, "<u4")
    return dataclasses.replace(image, contents={**image.contents, Window.PROGRAM: (program,)})
