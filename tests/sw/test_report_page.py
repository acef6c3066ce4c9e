"""The pictures and the page."""

from __future__ import annotations

import base64
import collections
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from reported import SMALL, accounted, entries, layer, network, residual, sparse

from sw.convolution import Convolution
from sw.report import pictures, sizes
from sw.report.html import render


def alpha(bitmap) -> np.ndarray:
    data = base64.b64decode(bitmap.uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))[..., 3]


def test_the_mask_shows_each_weight():
    of = SMALL.layers[1]
    bitmap = pictures.mask(accounted(SMALL).layers[1])
    np.testing.assert_array_equal(alpha(bitmap), np.where(of.codes, 255, 0))
    assert (bitmap.width, bitmap.height) == (30 * bitmap.zoom, 12 * bitmap.zoom)
    assert bitmap.zoom > 1


def test_a_large_mask_shows_shares_of_blocks():
    of = sparse((7, 2500), 0.3, 3)
    bitmap = pictures.mask(accounted(network(of)).layers[0])
    assert bitmap.block == 3
    shares = [
        [np.mean(of.codes[y : y + 3, x : x + 3] != 0) for x in range(0, 2500, 3)]
        for y in range(0, 7, 3)
    ]
    shown = np.minimum(1, np.array(shares) / bitmap.densest)
    assert 0 < np.mean(shown == 1) < 0.02
    np.testing.assert_allclose(alpha(bitmap), 255 * shown, atol=0.5)


def test_columns_are_a_picture_where_they_can_be():
    first, second = accounted(SMALL).layers
    shares = (SMALL.layers[0].codes != 0).sum(axis=0) / 30
    bitmap = pictures.columns(first)
    expected = 255 * np.minimum(1, shares / bitmap.densest).reshape(16, 16)
    np.testing.assert_allclose(alpha(bitmap), expected, atol=0.5)
    assert np.sort(shares)[-3] <= bitmap.densest <= shares.max()
    assert pictures.columns(second) is None
    kernel = Convolution(256, 1, 1, 1, 1)
    of = network(sparse((3, 256), 0.5, 3, convolution=kernel))
    assert pictures.columns(accounted(of).layers[0]) is None


def heights(svg: str, variable: str) -> list[float]:
    """Heights of the bars of a colour, from the left, in the units of the picture."""
    found = []
    for path in re.findall(rf'<path d="([^"]*)"[^>]*fill: var\({variable}\)', svg):
        points = [tuple(map(float, point)) for point in re.findall(r"([\d.]+) ([\d.]+)", path)]
        base = max(y for _, y in points)
        tops = [(x, base - y) for x, y in points if y < base]
        found += [height for _, height in tops[::2]]
    return found


@pytest.mark.parametrize("draw", ["codes", "gaps"])
def test_bars_are_as_high_as_counts(draw):
    of = accounted(SMALL).layers[1]
    codes, gaps = entries(of.layer.codes, of.stored.gap_bits)
    counts = collections.Counter(gaps if draw == "gaps" else filter(None, codes))
    found = heights(getattr(pictures, draw)(of), f"--{draw}")
    expected = [counts[symbol] for symbol in sorted(counts)]
    assert len(found) == len(expected)
    np.testing.assert_allclose(np.array(found) / found[0], np.array(expected) / expected[0], 1e-3)


class Page(HTMLParser):
    """Checks that elements nest, and keeps what could load something."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.links, self.ids, self.text = [], set(), [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name.endswith(("href", "src"))]
        self.ids += [value for name, value in attrs if name == "id"]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


NAMES = ("<script>alert(1)", '"><img onerror=1>', r"$\frac{", "层 &amp; é " * 9, "")


@pytest.fixture(scope="module")
def page():
    """Of a network with hostile names, a convolution, and layers without weights."""
    kernel = Convolution(1, 4, 4, 2, 2)
    layers = [
        sparse((3, 4), 0.9, 3, name=NAMES[0], convolution=kernel),
        sparse((5, 27), 0.4, 256, name=NAMES[1], codebook=np.arange(256) - 128),
        layer([[0] * 5] * 2, name=NAMES[2]),
        layer([[0, 0]] * 2, name=NAMES[3]),
        layer([[1, 1]], name=NAMES[4], codebook=[0, 0]),
    ]
    layers[1].codebook[0] = 0
    of = network(*layers)
    found = accounted(of, ["huffman", "arithmetic", "packed", "packed", "packed"])
    before = [np.random.default_rng(2).normal(size=one.codes.shape) for one in layers]
    plain, best = sizes.plain_sizes(of), sizes.best_sizes(of)
    return Page(render(found, "<b>&\x07.thr", plain, best, before))


def test_the_page_needs_nothing_else(page):
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert page.links
    for link in page.links:
        assert link.startswith(("data:image/png;base64,", "#"))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link[0] == "#"} <= set(page.ids)


def test_names_do_not_break_out_of_the_page(page):
    for shown in (*NAMES[:3], NAMES[3][:4] + "…" + NAMES[3][-13:], "(no name)", "<b>&\ufffd.thr"):
        assert shown in page.text


def test_pictures_are_sound_and_have_no_colours_of_their_own():
    of = accounted(SMALL).layers[0]
    weights = np.random.default_rng(1).normal(size=of.layer.codes.shape)
    for svg in (pictures.after(of, (-1.0, 1.0)), pictures.before(of, weights, (-1.0, 1.0))):
        assert ElementTree.fromstring(svg).tag == "svg"
        assert "#0102" not in svg
        assert "http" not in svg
        assert "var(--codes)" in svg


def test_pictures_are_the_same_in_every_run():
    of = accounted(SMALL).layers[1]
    assert pictures.gaps(of) == pictures.gaps(of)
    one, other = (
        re.findall(r'\bid="([^"]*)', draw(of)) for draw in (pictures.gaps, pictures.codes)
    )
    assert not set(one) & set(other)


def test_the_page_shows_the_figures_of_the_account():
    found = accounted(SMALL, "packed")
    text = Page(render(found, "small.thr", sizes.plain_sizes(SMALL), {})).text
    for figure in (found.bytes, found.float32_bytes, *(one.stored.codes for one in found.layers)):
        assert f"{figure:,}" in text
    assert f"{found.ratio:.1f} ×" in text
    assert "in the paper" not in text


def test_the_page_of_a_graph():
    of = residual()
    found = accounted(of)
    text = Page(render(found, "net.thr", sizes.plain_sizes(of), {})).text
    assert "Addition of stem + grouped" in text
    assert "without parameters" in text
    assert "max 3 × 3, stride 2" in text
    plain = Page(render(accounted(SMALL), "net.thr", sizes.plain_sizes(SMALL), {})).text
    assert "Structure" not in plain
