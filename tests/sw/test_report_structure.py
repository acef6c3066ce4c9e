"""How a network is wired, in words, as JSON and as a drawing."""

from __future__ import annotations

import dataclasses
import itertools
import re
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from reported import SMALL, accounted, layer, network, planes, residual
from strategies import networks, repeatable

from sw import architectures
from sw.convolution import Convolution
from sw.published import deep_compression
from sw.report import kinds, sizes, wiring
from sw.report.record import record


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
