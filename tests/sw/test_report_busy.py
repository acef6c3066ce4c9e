"""The picture and the page of what elements do over time, of runs made by hand."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from sim.utilisation import Utilisation
from sw.plots import COLOURS
from sw.report import busy

REPORT = {
    "cycles_per_vector": {"mean": 8.0, "max": 9},
    "vectors": 2,
    "utilisation": 0.25,
    "agrees_with_golden": True,
}
BUSY, STALLED = (tuple(round(255 * part) for part in to_rgb(c)) for c in COLOURS[:2])


def made(runs=1, layers=("one", "two"), steps=(0, 1), bin_cycles=1):
    """Runs of eight cycles on two lanes and groups: element 1 is busy in 1 to 3, 2 stalled in 4."""
    busy_flags, stalled_flags = np.zeros((2, 8 * runs, 4), np.int64)
    starts = []
    for run in range(runs):
        busy_flags[8 * run + 1 : 8 * run + 4, 1] = 1
        stalled_flags[8 * run + 4, 2] = 1
        starts += [(8 * run + 1, 0), (8 * run + 4, 1)]

    def binned(flags):
        firsts = np.arange(0, len(flags), bin_cycles)
        return np.add.reduceat(flags, firsts)

    used = Utilisation(
        cycles=8 * runs,
        bin_cycles=bin_cycles,
        began=0,
        busy=binned(busy_flags),
        stalled=binned(stalled_flags),
        layer_busy=np.array([[0, 3 * runs, 0, 0], [0, 0, 0, 0]]),
        layer_stalled=np.array([[0, 0, 0, 0], [0, 0, runs, 0]]),
        starts=np.array(starts),
    )
    return busy.Run(used, layers, steps, lanes=2, groups=2)


def drawn(chart):
    """Pixels (elements, bins, 3) of the heat map."""
    (picture,) = chart.axes[1].images
    return np.round(255 * picture.get_array()).astype(int)


def lines(chart):
    """Cycles at which something is marked, by the style of the line."""
    marks = {"-": [], "--": []}
    for line in chart.axes[0].lines:
        kind = "-" if line.get_linestyle() == "-" else "--"
        marks[kind].append(line.get_xdata()[0])
    return marks


def test_elements_have_the_colour_of_what_they_do():
    pixels = drawn(busy.figure(made()))
    assert pixels.shape[:2] == (4, 8)
    assert [tuple(pixel) == BUSY for pixel in pixels[1]] == [False, *[True] * 3, *[False] * 4]
    assert [tuple(pixel) == STALLED for pixel in pixels[2]] == [*[False] * 4, True, *[False] * 3]


def test_a_bin_has_the_mean_of_its_colours():
    """Half of the cycles of element 1's first and second bin: in between busy and starved."""
    pixels = drawn(busy.figure(made(bin_cycles=2)))
    starved = pixels[0, 0]
    np.testing.assert_allclose(pixels[1, 0], (np.array(BUSY) + starved) / 2, atol=1)
    assert tuple(pixels[1, 1]) == BUSY


@pytest.mark.parametrize("bin_cycles", [3, 7])
def test_a_short_last_bin_is_not_paler(bin_cycles):
    run = made(bin_cycles=bin_cycles)
    run.used.busy[-1] = run.used.spans[-1]
    assert tuple(drawn(busy.figure(run))[0, -1]) == BUSY


def test_more_bins_than_pixels_are_taken_together():
    pixels = drawn(busy.figure(made(runs=200)))
    assert 512 <= pixels.shape[1] <= 1024


def test_layers_and_inputs_are_marked_while_there_is_room():
    few, many, most = (lines(busy.figure(made(runs=n))) for n in (3, 30, 300))
    assert few == {"-": [1, 9, 17], "--": [4, 12, 20]}
    assert many == {"-": [8 * n + 1 for n in range(30)], "--": []}
    assert most == {"-": [], "--": []}


def test_rows_are_layers_of_all_inputs_together():
    assert busy.layer_rows(made(runs=2)) == [
        {
            "name": "one",
            "cycles": 6,
            "busy": 6,
            "stalled": 0,
            "starved": 18,
            "least": 0,
            "most": 6,
        },
        {
            "name": "two",
            "cycles": 9,
            "busy": 0,
            "stalled": 2,
            "starved": 34,
            "least": 0,
            "most": 0,
        },
    ]


def test_instructions_of_a_layer_are_one_row():
    (row,) = busy.layer_rows(made(steps=(1, 1)))
    assert row["name"] == "two"
    assert (row["cycles"], row["busy"], row["stalled"]) == (7, 3, 1)


def test_the_page_holds_the_picture_and_needs_nothing_else():
    page = busy.render(made(), "net.thr", REPORT)
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.width > 1_000
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "yes" in page


def test_names_are_text_on_the_page_and_in_the_picture():
    run = made(layers=("<b>x</b>", r"$\frac{$"))
    page = busy.render(run, "<script>.thr", REPORT)
    assert "<b>x" not in page
    assert "<script>" not in page
