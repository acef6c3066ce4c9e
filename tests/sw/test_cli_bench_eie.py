"""`thresher bench eie`, on small layers from files."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from hw.config import PRESETS
from hw.regmap import Window
from sim import eie as layers
from sim.cycles import predict
from sw.cli import bench_eie, main
from sw.published import eie
from sw.read.coded_layer import read_coded_layer


def run(*arguments):
    return CliRunner().invoke(main, ["bench", "eie", *map(str, arguments)])


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The engine that other tests compile, too."""
    monkeypatch.setattr(bench_eie, "config_for", lambda _network, **_knobs: PRESETS["tiny"])


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "codes": np.where(rng.random((40, 60)) < 0.3, rng.integers(1, 16, (40, 60)), 0),
        "codebook": np.concatenate([[0], rng.integers(-500, 500, 15)]),
        "activations": np.where(rng.random(60) < 0.6, rng.integers(1, 30000, 60), 0),
    }


@pytest.fixture
def write(tmp_path, arrays):
    def write(**changed):
        path = tmp_path / "layer.npz"
        np.savez(path, **{k: v for k, v in (arrays | changed).items() if v is not None})
        return path

    return write


def figures(result):
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    (row,) = record["layers"]
    assert row["agrees_with_golden"]
    assert row["counters_agree"]
    return record, row


def test_a_layer_file_counted_by_hand(write, arrays):
    record, row = figures(run("--layer-file", write(), "--lanes", 4, "--json"))
    active = arrays["activations"] != 0
    nonzeros = arrays["codes"] != 0
    products = int((arrays["codebook"][arrays["codes"]][:, active] != 0).sum())
    assert row["products"] == products
    assert row["limit_cycles"] == products / 4
    assert row["ratio"] == row["cycles"] / row["limit_cycles"] == record["geometric_mean"]
    assert row["predicted"] == {"cycles": row["cycles"], "error": 0}
    assert row["entries"] - row["padding_entries"] == nonzeros.sum()
    assert row["weight_bits"] == row["entries"] * PRESETS["tiny"].entry_bits
    assert row["eie_weight_bits"] == 8 * row["eie_entries"]
    assert row["eie"] is record["eie_geometric_mean"] is record["seed"] is None
    assert row["weight_density"] == nonzeros.mean()
    assert row["activation_density"] == active.mean()
    busy, starved = row["busy"], row["starved"]
    assert 4 * busy["mean"] >= nonzeros[:, active].sum()
    assert busy["min"] <= busy["mean"] <= busy["max"]
    assert busy["min"] + starved["max"] == busy["max"] + starved["min"] == row["cycles"]
    assert row["stalled"] == {"min": 0, "mean": 0, "max": 0}


def test_floats_are_scaled_to_16_bits(write):
    codebook, x = np.array([0, 0.5, -0.75]), np.array([0, 3.0, 1e-9])
    codes = np.array([[0, 1, 2]])
    read = read_coded_layer(write(codes=codes, codebook=codebook, activations=x))
    assert read.codebook.tolist() == [0, 1 << 14, -(3 << 13)]
    assert read.activations.tolist() == [0, 3 << 13, 0]
    tight = np.array([0, 1 - 2**-30, -1e300])
    assert read_coded_layer(write(codes=codes, codebook=tight, activations=x)).codebook[0] == 0
    ends = np.array([0, 1 - 2**-30, -1])
    found = read_coded_layer(write(codes=codes, codebook=ends, activations=x)).codebook
    assert found.tolist() == [0, 1 << 14, -(1 << 14)]


def test_nothing_active_has_no_ratio(write):
    path = write(activations=np.zeros(60))
    record, row = figures(run("--layer-file", path, "--json"))
    assert row["products"] == 0
    assert row["ratio"] is record["geometric_mean"] is None
    assert run("--layer-file", path).exit_code == 0


def test_tables(write):
    result = run("--layer-file", write())
    assert result.exit_code == 0, result.output
    assert "every output equal, to the bit" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "…" not in result.stdout
    assert sum(line.startswith("│ layer ") for line in result.stdout.splitlines()) == 3


def outcome(row):
    """What depends on nothing but the layer."""
    return row["cycles"], row["products"]


def test_a_published_layer(monkeypatch):
    """One that is made small, with the paper's cycles beside it."""
    small = dataclasses.replace(eie().layers[2], inputs=64, outputs=32)
    monkeypatch.setattr(bench_eie, "_LAYERS", {small.name: small})
    monkeypatch.setattr(bench_eie, "engine_for_all", lambda _knobs: PRESETS["tiny"])
    (record, row), (again, row_again), (other, row_other) = (
        figures(run("--layers", "Alex-8", "--json", *seed))
        for seed in ([], ["--seed", 1], ["--seed", 2])
    )
    assert (row["inputs"], row["outputs"]) == (64, 32)
    assert row["eie"]["cycles"] == pytest.approx(800 * 9.9)
    assert row["activation_density"] == 24 / 64
    assert record["eie_geometric_mean"] == pytest.approx(row["eie"]["ratio"])
    assert [r["seed"] for r in (record, again, other)] == [1, 1, 2]
    assert outcome(row) == outcome(row_again) != outcome(row_other)


def test_the_papers_ratios():
    """Issue and paper: 1.43 in the mean, 2.34 and 1.67 for VGG-6 and NT-We."""
    ratios = {layer.name: eie().ratio(layer) for layer in eie().layers}
    assert len(ratios) == 9
    assert layers.geometric_mean(list(ratios.values())) == pytest.approx(1.43, abs=0.005)
    assert max(ratios, key=ratios.get) == "VGG-6"
    assert ratios["VGG-6"] == pytest.approx(2.34, abs=0.005)
    assert ratios["NT-We"] == pytest.approx(1.67, abs=0.005)


def test_random_layers_are_as_published():
    figures = eie().layers[6]
    one, again, other = (layers.random_single(figures, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.layer.codes, again.layer.codes)
    np.testing.assert_array_equal(one.x, again.x)
    assert (one.layer.codes != other.layer.codes).any()
    assert one.layer.codes.shape == (600, 4096)
    assert one.nonzeros / one.layer.codes.size == pytest.approx(0.1, rel=0.01)
    assert np.count_nonzero(one.x) == 4096
    assert set(np.unique(one.layer.codes)) == set(range(16))
    assert np.count_nonzero(one.layer.codebook) == 15
    assert len(set(one.layer.codebook)) == 16


def test_one_engine_holds_all_published_layers():
    knobs = {"lanes": 64, "groups": 1, "queue_depth": 32, "entry_bits": 10}
    config = layers.engine_for_all(knobs)
    for layer in eie().layers:
        assert layer.inputs * layer.outputs * layer.weight_density / 64 < config.entry_depth
        assert layer.inputs <= config.column_depth
        assert layer.outputs <= 64 * config.accumulator_depth
    few = layers.engine_for_all(knobs | {"lanes": 1})
    assert few.entry_depth == few.limits("entry_depth")[1]


def test_entries_in_the_papers_order():
    """Rows 1 and 41 of one column, in element 1 of 2: gaps of 0 and 19, of 4 bits or 5."""
    codes = np.zeros((60, 3), np.uint8)
    codes[[1, 41], 1] = 1
    assert layers.entries_of(codes, 2, 4) == 3
    assert layers.entries_of(codes, 2, 5) == 2


def test_an_output_that_differs_is_an_error(write, monkeypatch):
    pack = bench_eie.pack

    def wrong(network, config):
        image = pack(network, config)
        biases = tuple(items + np.uint32(1 << 24) for items in image.contents[Window.BIAS])
        return dataclasses.replace(image, contents={**image.contents, Window.BIAS: biases})

    monkeypatch.setattr(bench_eie, "pack", wrong)
    result = run("--layer-file", write())
    assert result.exit_code == 1
    assert "DIFFERS" in result.stdout
    assert "layer differs: " in result.stderr


@pytest.mark.parametrize(("off", "status"), [(0.015, 0), (0.025, 1), (-0.025, 1)])
def test_a_cycle_model_that_is_off_is_an_error(write, monkeypatch, off, status):
    """More than 2 %, too few cycles or too many; outputs are right all the same."""

    def wrong(image, x):
        prediction = predict(image, x)
        (layer,) = prediction.layers
        cycles = round(layer.counts.cycles * (1 + off))
        counts = dataclasses.replace(layer.counts, cycles=cycles)
        return dataclasses.replace(prediction, layers=[dataclasses.replace(layer, counts=counts)])

    monkeypatch.setattr(bench_eie, "predict", wrong)
    result = run("--layer-file", write())
    assert result.exit_code == status
    assert "every output equal, to the bit" in result.stdout
    said = [line for line in result.stderr.splitlines() if line.startswith("layer ")]
    assert len(said) == status
    if status:
        assert "% off, where 2% is the most" in said[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": None}, "layer.npz has no array 'codes'"),
        ({"codes": np.zeros(60, int)}, "array 'codes' has shape (60,); it must be (rows, columns)"),
        ({"codes": np.zeros((40, 0), int)}, "array 'codes' has shape (40, 0)"),
        ({"codes": np.zeros((40, 60))}, "array 'codes' holds float64 values; codes must be int"),
        ({"codes": np.full((40, 60), 16)}, "'codes' holds 16 at [0, 0]; codes of a codebook of 16"),
        ({"codes": np.full((40, 60), -1)}, "array 'codes' holds -1 at [0, 0]"),
        ({"codes": np.full((40, 60), "a")}, "array 'codes' holds <U1 values; they must be numbers"),
        ({"codebook": np.arange(1, 17)}, "array 'codebook' begins with 1; it must begin with 0"),
        ({"codebook": np.arange(257)}, "array 'codebook' has 257 values; at most 256 fit"),
        ({"codebook": np.arange(16) * 4000}, "array 'codebook' holds 36000 at [9]; integers must"),
        ({"codebook": np.array([0, np.nan])}, "array 'codebook' holds nan at [1]; values must be"),
        ({"activations": np.zeros(59)}, "'activations' has 59 values, but 'codes' has 60 columns"),
        ({"activations": np.zeros((1, 60))}, "array 'activations' has shape (1, 60); it must be"),
        ({"activations": np.full(60, 1 << 15)}, "array 'activations' holds 32768 at [0]"),
        ({"activations": np.full(60, None)}, "'activations' holds object values; they must be num"),
    ],
)
def test_bad_layer_files_are_refused(write, changed, message):
    result = run("--layer-file", write(**changed))
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_header_is_not_believed(tmp_path):
    """It says that there are more values than anyone has memory for."""
    header = io.BytesIO()
    claims = {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(header, claims)
    path = tmp_path / "f.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("codebook.npy", header.getvalue())
    result = run("--layer-file", path)
    assert result.exit_code == 2
    assert "array 'codebook' brings the file to 1099511627776 values; at most" in result.stderr


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "f.npz"
    for contents in (b"", b"PK\3\4 and more", b"x"):
        path.write_bytes(contents)
        result = run("--layer-file", path)
        assert result.exit_code == 2
        assert "f.npz is not a sound .npz file" in result.stderr
    np.save(tmp_path / "f.npy", np.zeros(3))
    result = run("--layer-file", tmp_path / "f.npy")
    assert result.exit_code == 2
    assert "f.npy is not a sound .npz file" in result.stderr
    result = run("--layer-file", tmp_path / "none.npz")
    assert result.exit_code == 2
    assert "none.npz cannot be read: No such file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "Alex-9"], "--layers has 'Alex-9'; EIE's layers are Alex-6, Alex-7"),
        (["--layers", ""], "--layers has ''"),
        (["--layers", "NT-We", "--layer-file", "f.npz"], "give it or --layer-file, not both"),
        (["--layers", "NT-We", "--lanes", "65"], "lanes is 65; it must be from 1 to 64"),
        (["--layers", "NT-We", "--lanes", "0"], "lanes is 0"),
        (["--layers", "NT-We", "--groups", "5"], "lanes × groups is 320"),
        (["--layers", "NT-We", "--queue", "4"], "queue_depth is 4; it must be from 6 to 1024"),
        (["--layers", "NT-We", "--entry-bits", "0"], "entry_bits is 0"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0"),
    ],
)
def test_refuses(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
