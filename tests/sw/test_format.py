"""The .thr file: round trips, an independent reader, and every kind of damage."""

from __future__ import annotations

import dataclasses
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_same, networks, repeatable

from sw import coding
from sw import format as thr
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.errors import BadInput


def layer(name="ip1", **change) -> CompressedLayer:
    codes = np.zeros((3, 7), np.uint8)
    codes[0, 0], codes[0, 6], codes[2, 5] = 1, 3, 2
    whole = CompressedLayer(
        name=name,
        codes=codes,
        codebook=np.array([0, -7, 5, 300]),
        weight_fraction=9,
        bias=np.array([0, 77, -1234]),
        shift=4,
        relu=True,
    )
    return dataclasses.replace(whole, **change)


def network(*layers: CompressedLayer) -> CompressedNetwork:
    last = layer("ip2", codes=np.array([[1, 2, 3]], np.uint8), bias=np.array([5]), relu=False)
    return CompressedNetwork(NumberFormat(8, -3, 255), 16, 12, 32, layers or (layer(), last))


def sections(data: bytes) -> list[tuple[int, bytes]]:
    """(type, payload) of each section, by docs/format.md."""
    found, place = [], 28
    while place < len(data):
        kind, _, length = struct.unpack_from("<HHQ", data, place)
        found.append((kind, data[place + 12 : place + 12 + length]))
        place += 12 + length + 4
    return found


def assemble(parts: list[tuple[int, bytes]], version: int = 1, zero: int = 0) -> bytes:
    """File with sound checksums of any sections."""
    body = b""
    for kind, payload in parts:
        section = struct.pack("<HHQ", kind, zero, len(payload)) + payload
        body += section + struct.pack("<I", zlib.crc32(section))
    head = struct.pack("<8sHHIQ", thr.MAGIC, version, 28, len(parts), 28 + len(body))
    return head + struct.pack("<I", zlib.crc32(head)) + body


def bits_at(data: bytes, index: int, width: int) -> int:
    return int.from_bytes(data, "little") >> (index * width) & ((1 << width) - 1)


def read_layer_by_the_book(payload: bytes) -> CompressedLayer:
    """Reader of a layer written from docs/format.md alone, one entry at a time."""
    (_, name_bytes, flags, outputs, inputs, values, fraction, shift, bias_bits, gap_bits, count) = (
        struct.unpack_from("<HBBIIHbBBBI", payload)
    )
    place = 22 + name_bytes
    codebook = struct.unpack_from(f"<{values}h", payload, place)
    place += 2 * values
    biases = payload[place : place + -(-outputs * bias_bits // 8)]
    entries = payload[place + len(biases) :]
    bias = [bits_at(biases, i, bias_bits) for i in range(outputs)]
    code_bits = max(1, (values - 1).bit_length())
    codes = np.zeros(outputs * inputs, np.uint8)
    at = -1
    for i in range(count):
        entry = bits_at(entries, i, code_bits + gap_bits)
        at += (entry >> code_bits) + 1
        codes[at] = entry & ((1 << code_bits) - 1)
    return CompressedLayer(
        name=payload[22 : 22 + name_bytes].decode(),
        codes=codes.reshape(outputs, inputs),
        codebook=np.array(codebook, np.int64),
        weight_fraction=fraction,
        bias=np.array([b - (b >> (bias_bits - 1) << bias_bits) for b in bias], np.int64),
        shift=shift,
        relu=bool(flags & 1),
    )


@repeatable
@given(networks())
def test_round_trip(network):
    data = thr.to_bytes(network)
    again = thr.from_bytes(data)
    assert_same(again, network)
    assert thr.to_bytes(again) == data


@repeatable
@given(networks(most=12))
def test_a_reader_written_from_the_document_agrees(network):
    parts = sections(thr.to_bytes(network))
    assert [kind for kind, _ in parts] == [1] + [2] * len(network.layers)
    layers = tuple(read_layer_by_the_book(payload) for _, payload in parts[1:])
    widths = network.activation_bits, network.weight_bits, network.accumulator_bits
    fmt = network.input
    assert parts[0][1] == struct.pack(
        "<BBBbiiI", *widths, fmt.fraction, fmt.low, fmt.high, len(layers)
    )
    assert_same(CompressedNetwork(fmt, *widths, layers), network)


def test_entries_by_hand():
    codes = np.zeros((2, 8), np.uint8)
    codes[0, 1], codes[1, 3], codes[1, 4] = 1, 2, 3
    # Gap 1; nine zeros are two paddings of four and gap 1; gap 0; three zeros left need none.
    expected = [1 << 2 | 1, 3 << 2, 3 << 2, 1 << 2 | 2, 0 << 2 | 3]
    np.testing.assert_array_equal(coding.encode(codes, code_bits=2, gap_bits=2), expected)


@repeatable
@given(networks(), st.integers(0, 8))
def test_every_gap_width_decodes_and_none_beats_the_best(network, gap_bits):
    for layer in network.layers:
        width = layer.code_bits + gap_bits
        entries = coding.encode(layer.codes, layer.code_bits, gap_bits)
        data = coding.pack(entries, width)
        assert len(entries) == coding.entry_count(layer.codes, gap_bits)
        again = coding.decode(data, len(entries), layer.code_bits, gap_bits, layer.codes.shape)
        np.testing.assert_array_equal(again, layer.codes)
        best = coding.best_gap_bits(layer.codes, layer.code_bits)
        best_count = coding.entry_count(layer.codes, best)
        assert best_count * (layer.code_bits + best) <= len(entries) * width


@pytest.mark.parametrize("count", [0, 1, 7, 8, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_001])
@pytest.mark.parametrize("width", [1, 5, 16, 48])
def test_packing_across_chunks(count, width):
    values = np.random.default_rng(count).integers(0, 1 << width, count)
    data = coding.pack(values, width)
    assert len(data) == coding.packed_bytes(count, width)
    np.testing.assert_array_equal(coding.unpack(data, count, width), values)


def test_entries_across_chunks():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 16, (300, 784)).astype(np.uint8)
    codes[rng.random(codes.shape) > 0.9] = 0
    codes[20:200] = 0
    whole = network(layer(codes=codes, codebook=np.arange(16), bias=np.zeros(300, np.int64)))
    assert_same(thr.from_bytes(thr.to_bytes(whole)), whole)


def test_a_dense_layer_has_no_gaps_and_storage_is_what_the_file_takes():
    codes = np.random.default_rng(1).integers(1, 4, (3, 50)).astype(np.uint8)
    whole = network(layer(codes=codes), layer(codes=np.eye(3, dtype=np.uint8)))
    stored = [thr.storage(layer) for layer in whole.layers]
    assert stored[0].gap_bits == 0
    assert stored[0].entries == 150
    assert 28 + 32 + sum(s.bytes for s in stored) == len(thr.to_bytes(whole))


def test_every_flipped_bit_is_refused():
    data = thr.to_bytes(network())
    for place in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            with pytest.raises(BadInput):
                thr.from_bytes(bytes(broken))


def test_every_cut_and_any_addition_is_refused():
    data = thr.to_bytes(network())
    for length in range(len(data)):
        with pytest.raises(BadInput):
            thr.from_bytes(data[:length])
    with pytest.raises(BadInput, match=r"has .* bytes; its header says"):
        thr.from_bytes(data + b"\0")


@repeatable
@given(networks(most=6), st.data())
def test_hostile_payloads_give_bad_input_or_a_network(network, data):
    """Checksums are sound, so that every field's own check must hold."""
    parts = sections(thr.to_bytes(network))
    index = data.draw(st.integers(0, len(parts) - 1))
    payload = bytearray(parts[index][1])
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of the draws at the fields, some anywhere.
        most = data.draw(st.sampled_from([22, len(payload)]))
        place = data.draw(st.integers(0, min(most, len(payload)) - 1))
        payload[place] = data.draw(st.sampled_from([0, 1, 2, 8, 127, 128, 255]))
    parts[index] = (parts[index][0], bytes(payload))
    try:
        accepted = thr.from_bytes(assemble(parts))
    except BadInput:
        return
    assert_same(thr.from_bytes(thr.to_bytes(accepted)), accepted)


FIELDS = {  # offset and form of the fields of a layer
    "encoding": (0, "<H"),
    "flags": (3, "<B"),
    "outputs": (4, "<I"),
    "inputs": (8, "<I"),
    "codebook_values": (12, "<H"),
    "weight_fraction": (14, "<b"),
    "shift": (15, "<B"),
    "bias_bits": (16, "<B"),
    "gap_bits": (17, "<B"),
    "entries": (18, "<I"),
    "name": (22, "<B"),
    "codebook": (25, "<h"),
}


def with_field(field: str, value: int) -> bytes:
    offset, form = FIELDS[field]
    parts = sections(thr.to_bytes(network()))
    payload = bytearray(parts[1][1])
    struct.pack_into(form, payload, offset, value)
    return assemble([parts[0], (2, bytes(payload)), parts[2]])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("encoding", 2, "section 1 has encoding 2, which is not known"),
        ("flags", 2, "section 1: flags is 2, not from 0 to 1"),
        ("outputs", 0, "outputs is 0"),
        ("outputs", 0xFFFFFFFF, "outputs is 4294967295"),
        ("inputs", 0, "inputs is 0"),
        ("inputs", 1 << 27, "weights, over 134217728"),
        ("inputs", 1 << 24, "cannot cover 50331648 weights"),
        ("inputs", 6, "layer 'ip1': the entries go on to weight 19 of 18"),
        ("codebook_values", 0, "codebook_values is 0"),
        ("codebook_values", 257, "codebook_values is 257, not from 1 to 256"),
        ("codebook_values", 5, "its fields make"),
        ("weight_fraction", 65, "layer 'ip1': 65 weight fraction bits"),
        ("shift", 32, "layer 'ip1': shift is 32"),
        ("bias_bits", 0, "bias_bits is 0"),
        ("bias_bits", 49, "bias_bits is 49"),
        ("gap_bits", 9, "gap_bits is 9, not from 0 to 8"),
        ("entries", 0xFFFFFFFF, "its fields make"),
        ("name", 0xFF, "the name is not UTF-8"),
        ("name", 0x1B, "a name is printable"),
        ("codebook", 1, "layer 'ip1': a codebook has 1 to 256 values, the first 0"),
    ],
)
def test_a_field_out_of_range_is_named(field, value, message):
    with pytest.raises(BadInput, match=message):
        thr.from_bytes(with_field(field, value))


def with_entries(entries: list[int], gap_bits: int, spare: int = 0) -> bytes:
    """File of one 3 × 7 layer with the given entries; `spare` is set in the bits left over."""
    parts = sections(thr.to_bytes(network(layer())))
    payload = bytearray(parts[1][1])
    head = 22 + 3 + 8 + coding.packed_bytes(3, payload[16])
    struct.pack_into("<BI", payload, 17, gap_bits, len(entries))
    packed = bytearray(coding.pack(np.array(entries), 2 + gap_bits))
    packed[-1] |= spare
    return assemble([parts[0], (2, bytes(payload[:head] + packed))])


PADDING = 15 << 2


@pytest.mark.parametrize(
    ("entries", "spare", "message"),
    [
        ([PADDING, 4 << 2], 0, "an entry has code 0 with gap 4; padding has gap 15"),
        ([PADDING, 5 << 2 | 1], 0, "go on to weight 21 of 21"),
        ([PADDING, PADDING], 0, "go on to weight 31 of 21"),
        ([4 << 2 | 1], 0, "the entries end at weight 4 of 21"),
        ([1], 0x40, "bits after the last number are not 0"),
        ([1] * 22, 0, "22 entries with gaps below 16 cannot cover 21 weights"),
    ],
)
def test_entries_that_are_not_a_matrix(entries, spare, message):
    thr.from_bytes(with_entries([PADDING, 4 << 2 | 1], gap_bits=4))
    thr.from_bytes(with_entries([5 << 2 | 1], gap_bits=4))
    with pytest.raises(BadInput, match=f"layer 'ip1': .*{message}"):
        thr.from_bytes(with_entries(entries, gap_bits=4, spare=spare))


def test_a_code_beyond_the_codebook_is_refused():
    parts = sections(thr.to_bytes(network(layer(codebook=np.array([0, 1, 2, 3])))))
    payload = bytearray(parts[1][1])
    payload[12] = 3
    del payload[22 + 3 + 6 : 22 + 3 + 8]
    with pytest.raises(BadInput, match="layer 'ip1' has code 3 but 3 codebook values"):
        thr.from_bytes(assemble([parts[0], (2, bytes(payload))]))


def sound() -> list[tuple[int, bytes]]:
    return sections(thr.to_bytes(network()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a .thr file"),
        (b"PK\x03\x04" + bytes(100), "not a .thr file"),
        (thr.MAGIC, "cut off in its header"),
        (assemble(sound(), version=2), "version 2; this program reads version 1"),
        (assemble(sound(), zero=1), "section 0 has 1 where 0 must be"),
        (assemble([]), "first section does not describe"),
        (assemble(sound()[1:]), "first section does not describe"),
        (assemble(sound()[:2]), "2 layers are announced but 1 sections follow"),
        (assemble([*sound(), sound()[2]]), "2 layers are announced but 3 sections follow"),
        (assemble([sound()[0]] + [sound()[1]] * 1025), "1026 sections; it may have at most 1025"),
        (assemble([(1, b""), *sound()[1:]]), "section 0 has 0 bytes"),
        (assemble([*sound()[:2], (3, sound()[2][1])]), "section 2 is of type 3"),
        (assemble([*sound()[:2], (2, b"\1\0")]), "section 2 has 2 bytes, less than"),
        (assemble([sound()[0], *sound()[:0:-1]]), "gives 1 outputs but .* takes 7 inputs"),
    ],
)
def test_a_file_of_the_wrong_parts_is_refused(data, message):
    with pytest.raises(BadInput, match=f"^model.thr: .*{message}"):
        thr.from_bytes(data, "model.thr")


def test_a_file_whose_sums_can_overflow_is_refused():
    parts = sound()
    head = bytearray(parts[0][1])
    struct.pack_into("<B", head, 2, 17)
    with pytest.raises(BadInput, match=r"layer 'ip1', row 0: .* does not fit in 17 accumulator"):
        thr.from_bytes(assemble([(1, bytes(head)), *parts[1:]]))


@pytest.mark.parametrize(
    "change", [("inputs", (1 << 27) // 3), ("outputs", (1 << 27) // 7), ("entries", 1 << 27)]
)
def test_a_small_file_cannot_ask_for_much_memory(change):
    data = with_field(*change)
    tracemalloc.start()
    with pytest.raises(BadInput):
        thr.from_bytes(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_write_and_read(tmp_path):
    path = tmp_path / "model.thr"
    thr.write(path, network())
    assert_same(thr.read(path), network())
    assert [p.name for p in tmp_path.iterdir()] == ["model.thr"]
    thr.write(path, network(layer()))
    assert_same(thr.read(path), network(layer()))


def test_a_network_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.thr"
    thr.write(path, network())
    before = path.read_bytes()
    for bad in (layer(shift=32), layer(name="x" * 256), layer(name="\ud800")):
        with pytest.raises(BadInput, match=r"^layer '"):
            thr.write(path, network(bad))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written_or_read(tmp_path):
    places = (tmp_path, tmp_path / "none" / "model.thr", tmp_path / ("x" * 300))
    for path in places:
        with pytest.raises(BadInput, match=f"^{path} cannot be written: "):
            thr.write(path, network())
        with pytest.raises(BadInput, match=f"^{path} cannot be read: "):
            thr.read(path)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_named(tmp_path):
    path = tmp_path / "model.thr"
    path.write_bytes(b"hello")
    with pytest.raises(BadInput, match=f"^{path}: this is not a .thr file"):
        thr.read(path)


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "link.thr").symlink_to("model.thr")
    thr.write(tmp_path / "link.thr", network())
    assert (tmp_path / "link.thr").is_symlink()
    assert_same(thr.read(tmp_path / "model.thr"), network())
