"""What a .thr file says of sources, groups and pooling, and that it says so only where it must."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc

import book
import numpy as np
import pytest
from book import assemble, sections, varint, with_field
from strategies import assert_same
from test_format_damage import refused_or_sound, wired

from sw import format as thr
from sw.compressed import CompressedLayer, CompressedNetwork, NumberFormat
from sw.convolution import Convolution
from sw.errors import BadInput
from sw.format.shape import SOURCES_MAX

PLANE = Convolution(2, 4, 4, 1, 1)  # 32 activations, as many as there are inputs


def layer(rows=2, columns=32, **change) -> CompressedLayer:
    whole = CompressedLayer(
        name="ip",
        codes=np.ones((rows, columns), np.uint8),
        codebook=np.array([0, 3]),
        weight_fraction=4,
        bias=np.arange(rows),
        shift=4,
        relu=True,
    )
    return dataclasses.replace(whole, **change)


def network(*layers: CompressedLayer) -> CompressedNetwork:
    return CompressedNetwork(NumberFormat(8, -3, 255), 16, 12, 40, layers)


def convolution(**change) -> CompressedLayer:
    geometry = dataclasses.replace(PLANE, **change)
    return layer(columns=geometry.columns, convolution=geometry)


def payload(of: CompressedLayer) -> bytes:
    return sections(thr.to_bytes(network(of)))[1][1]


START = 6 + 3  # fields, length and name


def test_a_plain_chain_is_what_it_was_in_version_2():
    dense, plain = payload(layer()), payload(convolution(pool=2))
    assert dense[5] >> 6 == plain[5] >> 6 == 0
    assert dense[START:].startswith(bytes([2]) + b"\3" + varint(64))
    assert plain[START:].startswith(bytes([2, 2, 4, 1, 1, 1, 0, 2]) + b"\3" + varint(4))


@pytest.mark.parametrize(
    ("of", "extension"),
    [
        (layer(columns=64, sources=(1, 1)), [2, 1, 1, 0]),
        (layer(sources=(1, 1, 1), added=True), [3, 1, 1, 1, 1]),
        (layer(added=True), [1, 1, 1]),
        (convolution(groups=2), [1, 1, 0, 2, 0, 0]),
        (convolution(pool=3, overlap=2), [1, 1, 0, 1, 2, 0]),
        (convolution(pool=2, average=True), [1, 1, 0, 1, 0, 1]),
        (convolution(average=True), [1, 1, 0, 1, 0, 1]),
        (
            dataclasses.replace(
                convolution(pool=4, overlap=1, average=True, groups=2), sources=(1, 1), added=True
            ),
            [2, 1, 1, 1, 2, 1, 1],
        ),
    ],
)
def test_an_extension_by_hand(of, extension):
    whole, (head, (_, data)) = network(of), sections(thr.to_bytes(network(of)))
    sizes = START + (1 if of.convolution is None else 8)
    assert data[5] >> 6 == 1
    assert data[sizes:].startswith(bytes(extension) + b"\3")
    assert head[1][-2:] == bytes([32, 1])
    plain = dataclasses.replace(of, convolution=of.convolution and PLANE, sources=(1,), added=False)
    assert thr.storage(of).header - thr.storage(plain).header == 8 * len(extension)
    assert_same(thr.from_bytes(thr.to_bytes(whole)), whole)
    assert_same(book.read(thr.to_bytes(whole)), whole)


def test_a_distance_may_take_two_bytes():
    layers = [layer(rows=32) for _ in range(200)]
    whole = network(*layers, layer(columns=64, sources=(201, 1)))
    data = thr.to_bytes(whole)
    assert sections(data)[-1][1][START:].startswith(bytes([2, 2, 201, 1, 1, 0]))
    assert_same(thr.from_bytes(data), whole)


def extended(extension: list[int], geometry: list[int] | None = None, rows: int = 2) -> bytes:
    """File of 32 inputs, a layer of 32 outputs and one of 0s with any extension."""
    body = with_field(bytes(6), book.LAYER, "extended", 1)
    body = with_field(body, book.LAYER, "convolution", int(geometry is not None))
    body = with_field(body, book.LAYER, "gap_bits", 8)
    numbers = [rows, *(geometry or []), *extension, 0]
    head, first, _ = sections(thr.to_bytes(network(layer(rows=32), layer())))
    return assemble([head, first, (2, body + b"\2ip" + b"".join(map(varint, numbers)))])


FLAT = [2, 4, 1, 1, 1, 0, 2]  # PLANE, pooled


@pytest.mark.parametrize(
    ("extension", "geometry", "message"),
    [
        ([1, 1, 0], None, "it is extended, but by nothing"),
        ([1, 1, 0, 1, 0, 0], FLAT, "it is extended, but by nothing"),
        ([0, 0], None, "the number of its sources is 0, less than 1"),
        ([65, *[1] * 65, 0], None, "the number of its sources is over 64"),
        ([1, 0, 0], None, "the distance of a source is 0, less than 1"),
        ([2, 1, 3, 0], None, "a source is 3 tensors back, where there are 2"),
        ([1, 1 << 30, 0], None, "the distance of a source is over 16777216"),
        ([2, 1, 1, 2], None, "whether sources are added is over 1"),
        ([1, 1, 0, 0, 0, 0], FLAT, "the number of its groups is 0, less than 1"),
        ([1, 1, 0, 3, 0, 0], FLAT, "its 2 input channels do not split into 3 groups"),
        ([2, 1, 2, 0, 4, 0, 0], [4, *FLAT[1:]], "its 2 rows do not split into 4 groups"),
        ([1, 1, 0, 1, 2, 0], FLAT, "pooling windows of 2 cannot overlap by 2"),
        ([1, 1, 0, 1, 1 << 30, 0], FLAT, "the overlap of its pooling windows is over 16777216"),
        ([1, 1, 0, 1, 0, 2], FLAT, "whether pooling takes the mean is over 1"),
        ([1, 1, 0, 1, 0, 1], [*FLAT[:-1], 3], "a mean over 3 × 3 is no shift"),
        ([2, 1, 2, 0, 1, 0, 0], [3, *FLAT[1:]], "3 channels of height 4 do not make up the 64"),
    ],
)
def test_an_extension_that_cannot_be_is_refused(extension, geometry, message):
    thr.from_bytes(extended([2, 2, 1, 1], None))
    thr.from_bytes(extended([2, 2, 1, 0, 2, 1, 1], [4, *FLAT[1:]]))
    with pytest.raises(BadInput, match=f"section 2: {message}"):
        thr.from_bytes(extended(extension, geometry))


def test_sources_that_are_added_are_equally_many():
    layers = layer(), layer(columns=34, sources=(1, 2))
    head, first, (kind, data) = sections(thr.to_bytes(network(*layers)))
    place = START + 1 + 3
    assert data[place - 3 : place + 1] == bytes([2, 1, 2, 0])
    changed = data[:place] + b"\1" + data[place + 1 :]
    with pytest.raises(BadInput, match="section 2: it adds sources of 2 to 32 activations"):
        thr.from_bytes(assemble([head, first, (kind, changed)]))


def test_sources_of_several_fractions_are_refused():
    layers = layer(rows=32, weight_fraction=5), layer(columns=64, sources=(1, 2))
    one = network(layers[0], layer(columns=64, sources=(1, 1)))
    parts = sections(thr.to_bytes(one))
    other = parts[2][1].replace(bytes([2, 1, 1, 0]), bytes([2, 1, 2, 0]))
    with pytest.raises(BadInput, match=r"layer 'ip' takes sources of \[8, 9\] fraction bits"):
        thr.from_bytes(assemble([*parts[:2], (2, other)]))
    with pytest.raises(BadInput, match=r"layer 'ip' takes sources of \[8, 9\] fraction bits"):
        thr.to_bytes(network(*layers))


@pytest.mark.parametrize(
    ("index", "place", "extension", "sound"),
    [
        (1, 6 + 6 + 8, [1, 1, 0, 2, 1, 1], [[1], [1], [0, 1], [2], [1], [0, 1]]),
        (2, 6 + 5 + 1, [2, 2, 1, 0], [[2], [2], [1], [0]]),
        (3, 6 + 4 + 8, [2, 1, 2, 1, 1, 0, 0], [[2], [1, 2], [1, 2], [1], [1], [0], [0, 1]]),
    ],
)
def test_any_byte_in_the_place_of_one_of_an_extension(index, place, extension, sound):
    parts = sections(thr.to_bytes(wired()))
    data = parts[index][1]
    assert data[place:].startswith(bytes(extension))
    found = [[] for _ in extension]
    for byte, value in itertools.product(range(len(extension)), range(256)):
        changed = data[: place + byte] + bytes([value]) + data[place + byte + 1 :]
        file = assemble([*parts[:index], (2, changed), *parts[index + 1 :]])
        if not refused_or_sound(file):
            assert_same(book.read(file), thr.from_bytes(file))
            found[byte].append(value)
    assert found == sound


def test_the_most_sources():
    for added in (False, True):
        columns = 32 if added else 32 * SOURCES_MAX
        most = layer(columns=columns, sources=(1,) * SOURCES_MAX, added=added)
        assert_same(thr.from_bytes(thr.to_bytes(network(most))), network(most))
    more = layer(sources=(1,) * (SOURCES_MAX + 1), added=True)
    with pytest.raises(
        BadInput, match=r"'ip' has 65 sources; in a .thr file a layer has at most 64"
    ):
        thr.to_bytes(network(more))


def test_more_activations_than_layers_may_take_are_not_written():
    geometry = Convolution(1, 1 << 9, 1 << 9, 1, 1, 1 << 9)
    one = layer(1, 1, convolution=geometry, sources=(1,) * 64, added=True)
    assert_same(thr.from_bytes(thr.to_bytes(network(one))), network(one))
    two = dataclasses.replace(one, sources=(2,))
    with pytest.raises(
        BadInput, match=r"17039360 activations taken in all layers; .* at most 16777"
    ):
        thr.to_bytes(network(one, two))


@pytest.mark.parametrize("added", [0, 1])
def test_many_sources_cannot_ask_for_much_memory(added):
    geometry = [1, 1 if added else 64, 1, 1, 1 << 20, 0, 1]
    data = extended([64, *[2] * 64, added, 1, 0, 0], geometry, rows=1)
    (kind, head), *rest = sections(data)
    head = head[:-2] + varint(1 << 20) + head[-1:]
    first = sections(extended([1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1 << 20, 0, 1], rows=1))[2]
    tracemalloc.start()
    with pytest.raises(BadInput, match="activations taken in all layers"):
        thr.from_bytes(assemble([(kind, head), first, *rest[1:]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(("count", "bits"), [(2, 17), (3, 18), (5, 18), (6, 19)])
def test_ranges_of_sources_that_are_added_add_up(count, bits):
    reach = count * 32 * 3 * 255
    assert reach.bit_length() + 1 == bits
    whole = network(layer(sources=(1,) * count, added=True))
    (kind, head), rest = sections(thr.to_bytes(whole))
    enough, less = (with_field(head, book.NETWORK, "accumulator_bits", n) for n in (bits, bits - 1))
    thr.from_bytes(assemble([(kind, enough), rest]))
    with pytest.raises(BadInput, match=f"a sum can reach {reach}, .*; {bits} bits"):
        thr.from_bytes(assemble([(kind, less), rest]))
