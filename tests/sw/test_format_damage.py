"""Damaged and hostile .thr files: BadInput or a sound network, never anything else."""

from __future__ import annotations

import dataclasses
import tracemalloc

import book
import numpy as np
import pytest
from book import assemble, sections, varint, with_field
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same, networks, repeatable

from sw import format as thr
from sw.coding.bits import pack
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.errors import BadInput

CODERS = thr.CODERS[:-1]
CODEBOOK = np.array([0, -7, 5, 300])
SHIFTS = {"weight_fraction": 9, "shift": 4, "relu": True}


def network() -> CompressedNetwork:
    """A convolution of two channels into three, (2, 3, 4) to (3, 1, 1), and a dense layer."""
    codes = np.zeros((3, 12), np.uint8)
    codes[0, 0], codes[0, 6], codes[2, 5] = 1, 3, 2
    bias = np.array([0, 77, -1234])
    geometry = Convolution(2, 3, 4, 3, 2, pool=1, stride=3)
    first = CompressedLayer("conv", codes, CODEBOOK, bias=bias, convolution=geometry, **SHIFTS)
    codes = np.array([[1, 2, 3], [0, 0, 0], [0, 1, 0]], np.uint8)
    second = CompressedLayer("ip", codes, CODEBOOK, bias=bias, **SHIFTS)
    return CompressedNetwork(NumberFormat(8, -3, 255), 16, 12, 32, (first, second))


def wired() -> CompressedNetwork:
    """Four layers, of which only the last is not extended.

    A depthwise convolution of (2, 3, 4) to (2, 3, 3) with means of windows that overlap; a dense
    layer that takes both; a convolution of their sum; a dense layer.
    """
    codes = np.zeros((18, 42), np.uint8)
    codes.flat[::37] = 1
    depthwise = Convolution(2, 3, 4, 2, 3, padding=1, pool=2, groups=2, overlap=1, average=True)
    plane = Convolution(2, 3, 3, 1, 1)
    fields = {**SHIFTS, "codebook": CODEBOOK, "weight_fraction": 4}
    layers = (
        CompressedLayer(
            "depth", codes[:2, :6] + 2, bias=np.array([5, -6]), convolution=depthwise, **fields
        ),
        CompressedLayer("both", codes, bias=np.zeros(18, np.int64), sources=(2, 1), **fields),
        CompressedLayer(
            "sum",
            codes[:1, :2],
            bias=np.array([77]),
            convolution=plane,
            sources=(1, 2),
            added=True,
            **fields,
        ),
        CompressedLayer("ip", codes[:2, :9], bias=np.array([0, 1]), **fields),
    )
    return CompressedNetwork(NumberFormat(8, -3, 255), 16, 12, 32, layers)


both = pytest.mark.parametrize("whole", [network(), wired()], ids=["chain", "wired"])


@both
def test_every_flipped_bit_is_refused(whole):
    for coder in CODERS:
        data = thr.to_bytes(whole, coder)
        for place in range(8 * len(data)):
            broken = bytearray(data)
            broken[place // 8] ^= 1 << place % 8
            with pytest.raises(BadInput):
                thr.from_bytes(bytes(broken))


@both
@pytest.mark.parametrize("coder", CODERS)
def test_every_cut_and_any_addition_is_refused(whole, coder):
    data = thr.to_bytes(whole, coder)
    for length in range(len(data)):
        with pytest.raises(BadInput):
            thr.from_bytes(data[:length])
    for more in (b"\0", b"\2\0", data[9:], varint(2) + varint(0) + bytes(4)):
        with pytest.raises(BadInput):
            thr.from_bytes(data + more)


def refused_or_sound(data: bytes) -> bool:
    """Whether a file is refused; if not, it must be one that can be written again."""
    try:
        accepted = thr.from_bytes(data)
    except BadInput as error:
        message = str(error)
    else:
        assert_same(thr.from_bytes(thr.to_bytes(accepted)), accepted)
        return False
    assert message.isprintable()  # it goes to a terminal
    return True


@both
@pytest.mark.parametrize("coder", CODERS)
def test_every_damaged_byte_under_a_sound_checksum(whole, coder):
    parts = sections(thr.to_bytes(whole, coder))
    refused = total = 0
    for index, (kind, payload) in enumerate(parts):
        for place in range(0, 8 * len(payload), 3):  # two bits or three of every byte
            broken = bytearray(payload)
            broken[place // 8] ^= 1 << place % 8
            changed = [*parts[:index], (kind, bytes(broken)), *parts[index + 1 :]]
            refused += refused_or_sound(assemble(changed))
            total += 1
    assert total / 5 < refused < total


@both
@pytest.mark.parametrize("coder", CODERS)
def test_every_cut_section_under_a_sound_checksum(whole, coder):
    parts = sections(thr.to_bytes(whole, coder))
    for index, (kind, payload) in enumerate(parts):
        for length in range(len(payload)):
            cut = [*parts[:index], (kind, payload[:length]), *parts[index + 1 :]]
            assert refused_or_sound(assemble(cut)) or coder == "arithmetic"


@settings(repeatable, max_examples=60)
@given(networks(most=4, convolutions=True, wired=True), st.sampled_from(CODERS), st.data())
def test_hostile_payloads_give_bad_input_or_a_network(network, coder, data):
    parts = sections(thr.to_bytes(network, coder))
    index = data.draw(st.integers(0, len(parts) - 1))
    payload = bytearray(parts[index][1])
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of the draws at the fields, some anywhere.
        most = data.draw(st.sampled_from([24, len(payload)]))
        place = data.draw(st.integers(0, min(most, len(payload)) - 1))
        payload[place] = data.draw(st.sampled_from([0, 1, 2, 8, 127, 128, 255]))
    parts[index] = (parts[index][0], bytes(payload))
    refused_or_sound(assemble(parts))


def dense(chosen: str = "packed", **change: int) -> bytes:
    """File of one dense layer 'ip' of three rows and columns, some bit fields of it changed."""
    whole = dataclasses.replace(network(), layers=network().layers[1:])
    head, (kind, payload) = sections(thr.to_bytes(whole, chosen))
    for field, value in change.items():
        payload = with_field(payload, book.LAYER, field, value)
    return assemble([head, (kind, payload)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coder": 3}, "layer 'ip': coder 3 is not known"),
        ({"gap_bits": 9}, "layer 'ip': gaps have 9 bits, over 8"),
        ({"gap_bits": 8}, "layer 'ip': .* bytes do not hold"),
        ({"weight_fraction": 65}, "layer 'ip': 65 weight fraction bits"),
        ({"weight_fraction": 0x80}, "layer 'ip': -128 weight fraction bits"),
        ({"values": 255}, "layer 'ip': .* bytes are wanted where .* are left"),
        ({"codebook_bits": 15}, "layer 'ip': "),
        ({"bias_bits": 63}, "layer 'ip': .* bytes are wanted where .* are left"),
        ({"bias_step": 40}, "layer 'ip': a bias has 52 bits, over 48"),
        ({"bias_step": 25}, "layer 'ip': bias value -.* does not fit in 32 bits"),
        ({"unused": 1}, "section 1: the bits after the last field are not 0"),
        ({"convolution": 1}, "section 1: "),
    ],
)
def test_a_field_out_of_range_is_named(change, message):
    thr.from_bytes(dense())
    with pytest.raises(BadInput, match=message):
        thr.from_bytes(dense(**change))


@pytest.mark.parametrize("field", ["gap_bits", "bias_bits"])
def test_fields_that_the_arithmetic_coder_does_not_use_are_0(field):
    with pytest.raises(BadInput, match=f"layer 'ip': {field} is 3, which the coder has no use for"):
        thr.from_bytes(dense("arithmetic", **{field: 3}))


def with_sizes(name: bytes, *sizes: int, convolution: bool = False) -> bytes:
    """File of the three inputs and one layer of zeros whose name and sizes are given."""
    fields = {"bias_bits": 0, "codebook_bits": 0, "convolution": int(convolution), "gap_bits": 4}
    payload = bytes(6)
    for field, value in fields.items():
        payload = with_field(payload, book.LAYER, field, value)
    payload += varint(len(name)) + name + b"".join(map(varint, sizes)) + varint(0)
    return assemble([sections(dense())[0], (2, payload)])


GEOMETRY = (
    1,
    1,
    1,
    3,
    1,
    0,
    1,
)  # channels, height, kernel's height and width, stride, padding, pool


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        (b"\xff", (3,), "section 1: its name is not UTF-8"),
        (b"\x1b", (3,), r"layer '\\x1b': a name is printable"),
        (b"x" * 256, (3,), "section 1: the length of its name is over 255"),
        (b"ip", (0,), "section 1: the number of rows is 0, less than 1"),
        (b"ip", (1 << 24,), "16777219 activations in all layers; .* at most 16777216"),
        (b"ip", (1 << 25,), "the number of rows is over 16777216"),
        (b"ip", (1 << 40,), "the number of rows is over 16777216"),
        (b"ip", (6,), "layer 'ip': 0 entries with gaps below 16 cannot cover 18 weights"),
        (b"ip", (1, 2, 1, 1, 1, 1, 0, 1), "2 channels of height 1 do not make up the 3 activ"),
        (b"ip", (1, 4, 1, 1, 1, 1, 0, 1), "4 channels of height 1 do not make up the 3 activ"),
        (b"ip", (1, 0, 1, 1, 1, 1, 0, 1), "its channels is 0, less than 1"),
        (
            b"ip",
            (1, 1, 1, 2, 1, 1, 0, 1),
            "section 1: the kernel of 2 × 1 is larger than the input of 1 × 3",
        ),
        (b"ip", (1, 1, 1, 1, 1, 0, 0, 1), "its stride is 0, less than 1"),
        (b"ip", (1, 1, 1, 1, 1, 1, 2, 1), "padding of 2 is more than the kernel"),
        (b"ip", (1, 1, 1, 1, 3, 1, 0, 2), "pooling window of 2 is larger than 1 × 1"),
        (b"ip", (1 << 24, 1, 1, 1, 1, 1, 0, 1), "activations in all layers; .* at most"),
    ],
)
def test_sizes_that_cannot_be(name, sizes, message):
    convolution = len(sizes) > 1
    thr.from_bytes(
        with_sizes(b"ip", 3, *(GEOMETRY if convolution else ()), convolution=convolution)
    )
    with pytest.raises(BadInput, match=message):
        thr.from_bytes(with_sizes(name, *sizes, convolution=convolution))


def with_entries(entries: list[int], gap_bits: int, spare: int = 0) -> bytes:
    """File of one 3 × 7 layer with the given entries; `spare` is set in the bits left over."""
    words = pack(np.array(entries), 2 + gap_bits)
    packed = words[:-1] + bytes([words[-1] | spare])
    payload = with_field(bytes(6), book.LAYER, "values", 3)
    payload = with_field(payload, book.LAYER, "gap_bits", gap_bits)
    payload = with_field(payload, book.LAYER, "codebook_bits", 9)
    payload += b"\2ip" + varint(3) + pack(CODEBOOK[1:], 10) + varint(len(entries)) + packed
    (kind, head), _ = sections(dense())
    return assemble([(kind, head[:-2] + b"\7\1"), (2, payload)])


PADDING = 15 << 2


@pytest.mark.parametrize(
    ("entries", "spare", "message"),
    [
        ([PADDING, 4 << 2], 0, "an entry has code 0 with gap 4; padding has gap 15"),
        ([PADDING, 5 << 2 | 1], 0, "go on to weight 21 of 21"),
        ([PADDING, PADDING], 0, "go on to weight 31 of 21"),
        ([4 << 2 | 1], 0, "the entries end at weight 4 of 21"),
        ([1], 0x40, "bits after the last number are not 0"),
        ([1] * 22, 0, "the number of entries is over 21"),
    ],
)
def test_entries_that_are_not_a_matrix(entries, spare, message):
    thr.from_bytes(with_entries([PADDING, 4 << 2 | 1], gap_bits=4))
    thr.from_bytes(with_entries([5 << 2 | 1], gap_bits=4))
    with pytest.raises(BadInput, match=f"layer 'ip': .*{message}"):
        thr.from_bytes(with_entries(entries, gap_bits=4, spare=spare))


def test_a_code_beyond_the_codebook_is_refused():
    data = dense()
    head, (kind, payload) = sections(data)
    # Three values of ten bits take four bytes, and two take three.
    shorter = with_field(payload, book.LAYER, "values", 2)
    codebook = 6 + 3 + 1
    shorter = shorter[:codebook] + pack(CODEBOOK[1:3], 10) + shorter[codebook + 4 :]
    with pytest.raises(BadInput, match="layer 'ip' has code 3 but 3 codebook values"):
        thr.from_bytes(assemble([head, (kind, shorter)]))


def sound() -> list[tuple[int, bytes]]:
    return sections(thr.to_bytes(network()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a .thr file"),
        (b"PK\x03\x04" + bytes(100), "not a .thr file"),
        (thr.MAGIC, "header is unsound: 1 bytes are wanted where 0 are left"),
        (assemble(sound(), version=2), "version 2; this program reads version 3"),
        (assemble(sound(), version=300), "version 300; this program reads version 3"),
        (thr.MAGIC + b"\x82\0" + assemble(sound())[9:], "written with a needless byte"),
        (assemble([]), "first section does not describe"),
        (assemble(sound()[1:]), "first section does not describe"),
        (assemble(sound()[:2]), "2 layers are announced but 1 sections follow"),
        (assemble([*sound(), sound()[2]]), "2 layers are announced but 3 sections follow"),
        (assemble([sound()[0]] + [sound()[1]] * 1025), "more than 1025 sections"),
        (assemble([(1, b""), *sound()[1:]]), "section 0: 3 bytes are wanted where 0"),
        (assemble([(1, sound()[0][1] + b"\0"), *sound()[1:]]), "section 0: 1 bytes follow"),
        (assemble([*sound()[:2], (3, sound()[2][1])]), "section 2 is of type 3"),
        (assemble([*sound()[:2], (2, b"\1\0")]), "section 2: 6 bytes are wanted where 2"),
        (assemble([*sound()[:2], (2, sound()[2][1] + b"\0")]), "layer 'ip': .* do not hold"),
    ],
)
def test_a_file_of_the_wrong_parts_is_refused(data, message):
    with pytest.raises(BadInput, match=f"^model.thr: .*{message}"):
        thr.from_bytes(data, "model.thr")


def test_a_file_whose_sums_can_overflow_is_refused():
    (kind, head), *rest = sound()
    head = with_field(head, book.NETWORK, "accumulator_bits", 17)
    with pytest.raises(BadInput, match=r"layer 'conv', row 0: .* does not fit in 17 accumulator"):
        thr.from_bytes(assemble([(kind, head), *rest]))


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("rows", [1 << 14, 1 << 22])
def test_a_small_file_cannot_ask_for_much_memory(coder, rows):
    head, (kind, payload) = sections(dense(coder))
    assert payload[6:10] == b"\2ip\3"
    data = assemble([head, (kind, payload[:9] + varint(rows) + payload[10:])])
    tracemalloc.start()
    with pytest.raises(BadInput):
        thr.from_bytes(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
