"""The account of a .thr file against counts made in other ways."""

from __future__ import annotations

import collections
import json
import math

import book
import numpy as np
import pytest
from hypothesis import given, settings
from reported import SMALL, accounted, entries, layer, network, sparse
from strategies import networks, repeatable

from sim import large_networks
from sw import architectures
from sw import format as thr
from sw.coding import bits
from sw.published import deep_compression
from sw.report import sizes
from sw.report.account import PARTS, account
from sw.report.known import recognise
from sw.report.record import record
from sw.report.stored import stored

CODERS = ("packed", "huffman", "arithmetic")


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
        shapes = [(one.rows, one.columns) for one in large_networks.models(name)]
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
