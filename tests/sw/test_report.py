"""The account of a .thr file against counts made in other ways; the pictures and the page."""

from __future__ import annotations

import base64
import collections
import dataclasses
import io
import itertools
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import book
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from strategies import networks, repeatable

from sim import published
from sw import architectures
from sw import format as thr
from sw.coding import bits
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.published import deep_compression
from sw.report import kinds, pictures, sizes, wiring
from sw.report.account import PARTS, account
from sw.report.html import render
from sw.report.known import recognise
from sw.report.record import record
from sw.report.stored import stored

CODERS = ("packed", "huffman", "arithmetic")


def layer(codes, name="ip", codebook=None, convolution=None, bias=None) -> CompressedLayer:
    codes = np.asarray(codes, np.uint8)
    values = int(codes.max()) + 1
    return CompressedLayer(
        name=name,
        codes=codes,
        codebook=np.arange(values) * 3 if codebook is None else np.asarray(codebook),
        weight_fraction=8,
        bias=np.arange(len(codes)) if bias is None else np.asarray(bias),
        shift=4,
        relu=True,
        convolution=convolution,
    )


def sparse(shape, density, values, sources=(1,), **fields) -> CompressedLayer:
    rng = np.random.default_rng(3)
    made = layer(rng.integers(1, values, shape) * (rng.random(shape) < density), **fields)
    return dataclasses.replace(made, sources=sources)


def network(*layers) -> CompressedNetwork:
    return CompressedNetwork(NumberFormat(8, 0, 255), 16, 16, 48, layers)


def accounted(of, coder="packed"):
    return account(thr.to_bytes(of, coder), of)


SMALL = network(sparse((30, 256), 0.1, 8, name="a"), sparse((12, 30), 0.4, 4, name="b"))


@settings(repeatable, max_examples=12)
@given(networks(most=8, convolutions=True, wired=True))
def test_parts_make_the_file_and_are_those_of_the_encoder(of):
    """Layers of the arithmetic coder are not coded again, and yet the account is the same."""
    for coder in CODERS:
        data, parts = thr.encode(of, coder)
        found = account(data, of)
        assert found.exact
        assert tuple(one.stored for one in found.layers) == parts
        assert found.container + sum(one.stored.bytes for one in found.layers) == len(data)
        assert found.container == len(book.assemble(book.sections(data)[:1]))
        for one in found.layers:
            assert sum(getattr(one.stored, part) for part in PARTS) == 8 * one.stored.bytes
        json.dumps(record(found), allow_nan=False)


def test_a_file_of_another_encoder_is_told():
    of = network(layer([[0, 0, 0, 1] * 10, [0, 0, 0, 2] * 10], bias=[5, 6]))
    data = thr.to_bytes(of)
    head, (kind, payload) = book.sections(data)
    # No gap is over 3, so that 2 bits are best; 3 bits say the same with as many entries.
    assert thr.storage(of.layers[0]).gap_bits == 2
    words = np.array([3 << 2 | 1] * 10 + [3 << 2 | 2] * 10)
    payload = payload[: -bits.packed_bytes(20, 4)] + bits.pack(words, 5)
    payload = book.with_field(payload, book.LAYER, "gap_bits", 3)
    foreign = book.assemble([head, (kind, payload)])
    assert thr.from_bytes(foreign).layers[0].codes.tolist() == of.layers[0].codes.tolist()
    found = stored(foreign, of)
    (one,) = found.layers
    assert stored(data, of).exact
    assert not found.exact
    assert one.bytes == len(foreign) - found.container == thr.storage(of.layers[0]).bytes + 3
    assert sum(getattr(one, part) for part in PARTS) == 8 * one.bytes


def entries(matrix, gap_bits):
    """Codes, and gaps of all but padding, one weight at a time."""
    codes, gaps, zeros = [], [], 0
    for code in matrix.ravel().tolist():
        if code:
            codes.append(code)
            gaps.append(zeros)
            zeros = 0
        elif zeros == 2**gap_bits - 1:
            codes.append(0)
            zeros = 0
        else:
            zeros += 1
    return codes, gaps


def surprise(symbols) -> float:
    """Bits of symbols, each by how likely it is."""
    counts = collections.Counter(symbols)
    return sum(-math.log2(counts[symbol] / len(symbols)) for symbol in symbols)


@pytest.mark.parametrize("density", [0.01, 0.3, 1.0])
def test_entropy_against_a_count_of_single_entries(density):
    of = sparse((20, 100), density, 9)
    (found,) = accounted(network(of)).layers
    codes, gaps = entries(of.codes, found.stored.gap_bits)
    assert len(codes) == found.stored.entries
    assert codes.count(0) == found.stored.padding
    assert found.code_entropy == pytest.approx(surprise(codes))
    assert found.gap_entropy == pytest.approx(surprise(gaps))
    assert found.value_entropy == pytest.approx(surprise(of.codes[of.codes > 0].tolist()))
    # As many places out of 2000 can be chosen in so many ways (Stirling bounds the rest).
    ways = math.log2(math.comb(2000, found.nonzeros))
    assert ways <= found.position_entropy + 1e-9 <= ways + math.log2(2001)


@pytest.mark.parametrize("coder", ["packed", "huffman"])
def test_no_coder_of_entries_goes_below_their_entropy(coder):
    for one in accounted(SMALL, coder).layers:
        assert one.stored.codes >= one.code_entropy
        assert one.stored.gaps >= one.gap_entropy
        if coder == "huffman":
            # Huffman's redundancy is less than a bit a symbol.
            assert one.stored.codes < one.code_entropy + one.stored.entries
            assert one.stored.gaps < one.gap_entropy + one.nonzeros


def test_rates_and_ratios_by_hand():
    # 4 × 11 weights: 20 with a gap of 1, and one with a gap of 3, for which 1 bit needs padding.
    codes = np.array(([0, 1] * 20) + [0, 0, 0, 7]).reshape(4, 11)
    found = accounted(network(layer(codes, bias=[5, -6, 7, 8])))
    (one,) = found.layers
    assert one.stored.gap_bits == 1
    assert (one.stored.entries, one.stored.padding, one.nonzeros) == (22, 1, 21)
    runtime = 22 * (3 + 1) + 8 * 16
    assert one.rate_pq == runtime / (32 * 44)
    assert one.rate_pqh == (22 * (3 + 1) + one.stored.codebook) / (32 * 44)
    assert found.ratio == 4 * 48 / len(thr.to_bytes(found.network))
    assert found.ratio_runtime == 32 * 48 / (runtime + 4 * 48)
    dense, pruned, shared, relative, coded, file = (size for _, size in found.stages)
    assert dense == 4 * 48
    assert pruned == 21 * (4 + 4) + 4 * 4
    assert shared == (21 * (3 + 32) + 8 * 16) / 8 + 4 * 4
    assert relative == runtime / 8 + 4 * 4
    assert coded == (22 * 4 + one.stored.codebook + one.stored.bias) / 8
    assert file == len(thr.to_bytes(found.network))


def test_the_record_has_numbers_and_what_the_arithmetic_coder_joins_is_null():
    of = network(sparse((6, 8), 0.5, 4), sparse((5, 6), 0.5, 4))
    made = record(accounted(of, ["arithmetic", "huffman"]))
    joint, apart = made["layers"]
    assert (joint["coder"], apart["coder"]) == ("arithmetic", "huffman")
    assert joint["mean"]["code"] is None
    assert joint["mean"]["gap"] is None
    assert joint["bits"]["gaps"] == 0
    assert joint["mean"]["both"] == joint["bits"]["codes"] / joint["nonzeros"]
    assert apart["mean"]["gap"] == apart["bits"]["gaps"] / apart["nonzeros"]
    assert joint["kind"] == "dense"
    json.loads(json.dumps(made, allow_nan=False))


def test_networks_of_the_paper_are_recognised_by_their_shapes():
    for name, title in (("lenet300100", "LeNet-300-100"), ("lenet5", "LeNet-5")):
        shapes = [one.weights.shape for one in architectures.template(name).layers]
        found = recognise(shapes)
        assert found == deep_compression()[title]
        # The paper rounds to thousands.
        assert [one.weights for one in found.layers] == [
            pytest.approx(rows * columns, rel=0.01) for rows, columns in shapes
        ]
        assert recognise(shapes[::-1]) is None
        assert recognise(shapes[:-1]) is None
    for name, title in (("alexnet", "AlexNet"), ("vgg16", "VGG-16")):
        shapes = [(one.rows, one.columns) for one in published.models(name)]
        assert recognise(shapes) == deep_compression()[title]


def test_other_forms_by_arrays():
    plain = sizes.plain_sizes(SMALL)
    biases, codebooks = 4 * 42, 2 * (8 + 4)
    rows = [one.codes for one in SMALL.layers]
    nonzeros = sum(np.count_nonzero(codes) for codes in rows)
    pointers = sum(np.zeros(len(codes) + 1, np.int32).nbytes for codes in rows)
    assert plain["float32"] == sum(codes.astype(np.float32).nbytes for codes in rows) + biases
    assert plain["int8"] == sum(codes.nbytes for codes in rows) + biases
    assert plain["csr_float32"] == 8 * nonzeros + pointers + biases
    assert plain["csr_int8"] == 3 * nonzeros + pointers + biases
    assert set(plain) == set(sizes.FORMS)
    best = sizes.best_sizes(SMALL)
    for coder in ("zlib", "zstd", "lzw"):
        assert nonzeros + biases + codebooks < plain[coder] < plain["int8"]
        assert 0 < best[coder] < plain[coder]


def test_columns_beyond_16_bits_take_32_in_csr():
    wide = network(layer([[1] + [0] * (1 << 16)], bias=[0]))
    assert sizes.plain_sizes(wide)["csr_int8"] == (1 + 4) + 4 * 2 + 4


def planes(of, rows, codes=1, convolution=None, bias=0, **wiring) -> CompressedLayer:
    """A convolution of every channel by itself, with weights of 1 over their number."""
    where = convolution or Convolution(rows, 4, 4, 1, 1, groups=rows)
    values = [0, round(256 / where.columns), 7]
    made = layer(np.full((rows, where.columns), codes), of, values, where, [bias] * rows)
    return dataclasses.replace(made, **wiring)


def residual() -> CompressedNetwork:
    """Convolutions, a sum, a mean, a concatenation, and a dense layer, in a plain coder's order."""
    first = Convolution(1, 8, 8, 3, 3, stride=2, padding=1)
    grouped = Convolution(4, 4, 4, 3, 3, padding=1, groups=2)
    depthwise = Convolution(4, 4, 4, 3, 3, padding=1, groups=4, pool=3, overlap=1)
    joint = Convolution(8, 4, 4, 1, 1, pool=2, average=True)
    mean = Convolution(3, 2, 2, 2, 2, groups=3)
    layers = (
        sparse((4, 9), 0.6, 5, name="stem", convolution=first),
        sparse((4, 18), 0.6, 5, name="grouped", convolution=grouped),
        planes("add", 4, sources=(2, 1), added=True),
        sparse((3, 8), 0.6, 5, name="joint", convolution=joint, sources=(1, 3)),
        planes("mean", 3, convolution=mean),
        sparse((4, 9), 0.9, 5, name="depthwise", convolution=depthwise, sources=(3,)),
        sparse((5, 7), 0.5, 4, name="fc", sources=(2, 1)),
    )
    return network(*(dataclasses.replace(one, shift=8) for one in layers))  # as the input


def test_kinds_of_layers():
    of = residual()
    found = [kinds.kind(one) for one in of.layers]
    assert found == [
        "convolution",
        "grouped",
        "addition",
        "convolution",
        "mean",
        "depthwise",
        "dense",
    ]
    assert set(found) | {"identity"} == set(kinds.KINDS)
    relu = planes("relu", 4)
    assert kinds.kind(relu) == "identity"
    # Whatever has numbers of its own is no structure.
    for changed in (
        planes("bias", 4, bias=1),
        planes("other value", 4, codes=2),
        planes("nothing", 4, codes=0),
        dataclasses.replace(relu, codes=np.array([[1], [1], [0], [1]], np.uint8)),
        dataclasses.replace(relu, weight_fraction=7),
    ):
        assert kinds.kind(changed) == "depthwise"
        assert not kinds.is_structure(changed)
    assert not kinds.is_structure(planes("one", 2, convolution=Convolution(2, 4, 4, 1, 2)))


def test_structure_counts_for_nothing_but_bytes():
    of = residual()
    found = accounted(of)
    own = [one for one in of.layers if one.name not in ("add", "mean")]
    parameters = sum(one.codes.size + one.bias.size for one in own)
    assert found.parameters == parameters
    assert found.float32_bytes == 4 * parameters
    assert found.weights == sum(one.codes.size for one in own)
    assert found.nonzeros == sum(np.count_nonzero(one.codes) for one in own)
    assert found.container + sum(one.stored.bytes for one in found.layers) == found.bytes
    assert sizes.plain_sizes(of)["float32"] == 4 * parameters
    assert sizes.plain_sizes(of) == sizes.plain_sizes(network(*own))
    assert sizes.best_sizes(of) == sizes.best_sizes(network(*own))
    only = network(planes("relu", 4))
    assert accounted(only).parameters == 8  # rather than a ratio of nothing


def test_networks_of_the_paper_may_have_sums_and_means_between_their_layers():
    layers = [
        dataclasses.replace(
            layer(np.ones(one.weights.shape), one.name), convolution=one.convolution
        )
        for one in architectures.template("lenet5").layers
    ]
    pool = Convolution(20, 12, 12, 1, 1, groups=20)
    found = accounted(network(layers[0], planes("relu", 20, convolution=pool), *layers[1:]))
    assert found.published == deep_compression()["LeNet-5"]
    rows = [one.published and one.published.name for one in found.layers]
    assert rows == ["conv1", None, "conv2", "ip1", "ip2"]


def test_structure_as_json_has_it():
    stem, grouped, add, joint, mean, depthwise, fc = record(accounted(residual()))["layers"]
    assert stem["convolution"] == {
        "kernel": [3, 3],
        "groups": 1,
        "stride": 2,
        "padding": 1,
        "pooling": None,
    }
    assert grouped["convolution"]["groups"] == 2
    assert (add["sources"], add["added"], add["structure"]) == ([1, 2], True, True)
    assert (joint["sources"], joint["added"], joint["structure"]) == ([3, 1], False, False)
    assert joint["convolution"]["pooling"] == {"kind": "mean", "side": 2, "stride": 2}
    assert depthwise["convolution"]["pooling"] == {"kind": "max", "side": 3, "stride": 2}
    assert (mean["kind"], mean["outputs"]) == ("mean", [3, 1, 1])
    assert (fc["outputs"], fc["convolution"]) == ([5], None)


def test_structure_in_words():
    of = residual()
    names = [one.name for one in of.layers]
    said = [kinds.sentence(names, of, place) for place in range(len(names))]
    assert said == [
        "Convolution, 3 × 3, padding 1, stride 2, gives 4 × 4 × 4",
        "Grouped convolution, 3 × 3, padding 1, 2 groups, gives 4 × 4 × 4",
        "Addition of stem + grouped, gives 4 × 4 × 4",
        "Convolution of add, stem, 1 × 1, then mean 2 × 2, gives 3 × 2 × 2",
        "Mean of windows, 2 × 2, gives 3 × 1 × 1",
        "Depthwise convolution of add, 3 × 3, padding 1, then max 3 × 3, stride 2, gives 4 × 1 × 1",
        "Fully connected of mean, depthwise, gives 5",
    ]
    assert kinds.inputs(of) == "1 × 8 × 8"
    assert kinds.inputs(SMALL) == "256"


@given(networks(most=6, wired=True))
@settings(repeatable, max_examples=50)
def test_lines_that_pass_each_other_do_not_touch(of):
    svg = wiring.draw(of)
    ElementTree.fromstring(svg.svg)
    (path,) = re.findall(r'<path d="([^"]*)"', svg.svg)
    edges = {(t, place) for place, ts in enumerate(of.sources, 1) for t in ts}
    straight = {
        (int(a) // wiring.ROW, int(b) // wiring.ROW)
        for a, b in re.findall(r"M\d+ (\d+)V(\d+)", path)
    }
    assert straight == {edge for edge in edges if edge[1] - edge[0] == 1}
    around = re.findall(r"M\d+ (\d+)H\d+Q(\d+) .*?Q\d+ (\d+) ", path)
    assert sorted((int(a) // wiring.ROW, int(b) // wiring.ROW) for a, _, b in around) == sorted(
        edges - straight
    )
    for one, other in itertools.combinations(around, 2):
        (a, lane, b), (c, other_lane, d) = map(int, one), map(int, other)
        assert lane != other_lane or b <= c or d <= a


def test_the_page_of_a_graph():
    of = residual()
    found = accounted(of)
    text = Page(render(found, "net.thr", sizes.plain_sizes(of), {})).text
    assert "Addition of stem + grouped" in text
    assert "without parameters" in text
    assert "max 3 × 3, stride 2" in text
    plain = Page(render(accounted(SMALL), "net.thr", sizes.plain_sizes(SMALL), {})).text
    assert "Structure" not in plain


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
