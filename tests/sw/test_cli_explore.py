"""`thresher explore` on a small network: points, front, plot, page, refusals."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from hand import layer_of, network_of
from PIL import Image

from hw import config
from hw.boards import BOARDS
from hw.config import PRESETS
from sim import golden
from sim.cycles import predict
from sim.explore import Knobs, evaluate
from sw import format as thr
from sw import networks
from sw.cli import counted_engines as table
from sw.cli import main
from sw.pack import pack
from sw.resource_model import counted_engines, fit, held_out_errors, memory_bits

NETWORK = network_of(layer_of(24, 16), layer_of(16, 6))
X = np.random.default_rng(0).integers(0, 3, (4, 24)).astype(np.float64)
GRID = ["--lanes", "4,2", "--groups", "1,2", "--queue", "8", "--entry-bits", "1,9"]


def run(*arguments):
    return CliRunner().invoke(main, ["explore", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("explore")
    thr.write(path / "net.thr", NETWORK)
    np.save(path / "x.npy", X)
    return path


@pytest.fixture
def given(folder):
    """Arguments that name the small network, and run in this process."""
    return [folder / "net.thr", "--inputs", folder / "x.npy", "--jobs", 1]


@pytest.fixture
def record(given):
    result = run(*given, *GRID, "--board", "arty", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_points_in_the_order_of_the_grid(record):
    assert record["grid"] == {
        "lanes": [2, 4],
        "groups": [1, 2],
        "queue_depth": [8],
        "entry_bits": [1, 9],
    }
    assert (record["inputs"], record["backend"], record["board"]) == (4, "loky", "arty_a7_35t")
    knobs = [(p["lanes"], p["groups"], p["queue_depth"], p["entry_bits"]) for p in record["points"]]
    assert knobs == [(a, b, 8, c) for a in (2, 4) for b in (1, 2) for c in (1, 9)]
    model = fit("xc7", counted_engines("xc7"))
    shared = PRESETS["arty_a7_35t"].shared_tables
    for point, own in zip(record["points"], knobs, strict=True):
        true = evaluate(NETWORK, golden.quantise(NETWORK, X), Knobs(*own), shared)
        if point["entry_bits"] == 1:
            assert point["cycles"] is point["resources"] is point["memory_bits"] is None
            assert not point["fits"]
            assert not point["pareto"]
            assert point["short"] == [true.refused]
            continue
        assert point["cycles"] == {"mean": np.mean(true.cycles), "max": max(true.cycles)}
        assert point["resources"] == model.predict(true.config)
        assert point["memory_bits"] == memory_bits(true.config)
        assert point["elements"] == true.config.elements
        assert point["fits"]
        assert not point["extrapolated"]


def test_errors_are_those_on_engines_that_were_not_fitted_to(given, record):
    counted = counted_engines("xc7")
    errors = held_out_errors("xc7", counted)
    elements = [one.config.elements for one in counted]
    assert record["model"] == {
        "source": "the table of engines that Yosys has synthesised",
        "engines": len(counted),
        "elements": [min(elements), max(elements)],
        "held_out_errors": errors,
        "stale": table.is_stale("xc7"),
    }
    result = run(*given, *GRID)
    said = " ".join(result.stdout.split())
    assert f"the greatest errors were LUT {errors['lut']:.1%}, BRAM36" in said
    assert errors["lut"] > fit("xc7", counted).errors(counted)["lut"]


def test_points_beyond_the_counted_engines_are_marked(given, tmp_path):
    least, greatest = (f([e.config.elements for e in counted_engines("xc7")]) for f in (min, max))
    page = tmp_path / "space.html"
    grid = ["--lanes", f"2,{greatest}", "--groups", "1,2", "--queue", 8, "--entry-bits", 9]
    arguments = [*given, *grid, "--html", page, "--plot", tmp_path / "space.png"]
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    points = json.loads(result.stdout)["points"]
    beyond = [point["extrapolated"] for point in points]
    assert beyond == [not least <= 2 <= greatest, not least <= 4 <= greatest, False, True]
    lut = f"{points[3]['resources']['lut']:,}"
    lines = run(*arguments, "--all").stdout.splitlines()
    assert [line for line in lines if f"{lut}* " in line] == [
        line for line in lines if re.search(rf" {greatest} │ +2 │", line)
    ]
    assert sum("*" in line for line in lines) == 2  # and what it means
    text = page.read_text()
    assert text.count('<circle class="dot') == 1
    assert text.count("; extrapolated</title>") == 1
    assert f'{lut}<i class="star">*</i>' in text


@pytest.mark.parametrize("stale", [True, False])
def test_a_stale_table_is_told(given, tmp_path, monkeypatch, stale):
    digest = "of another day" if stale else table.stamp("arty_a7_35t")
    monkeypatch.setattr(table, "counted_logic", lambda: {"arty_a7_35t": digest})
    page = tmp_path / "space.html"
    result = run(*given, *GRID, "--html", page)
    for text in (" ".join(result.stdout.split()), page.read_text()):
        note = "The hardware has changed since these engines were counted."
        assert text.count(note) == stale


def test_the_front_is_marked(record):
    built = [point for point in record["points"] if point["fits"]]
    for point in built:
        worse = any(
            other["cycles"]["mean"] <= point["cycles"]["mean"]
            and other["resources"]["lut"] <= point["resources"]["lut"]
            and other is not point
            for other in built
        )
        assert point["pareto"] == (not worse)


def test_what_is_short_is_said(given, monkeypatch):
    small = dataclasses.replace(BOARDS["arty_a7_35t"], capacity={"lut": 9e9, "ff": 0, "dsp": 3})
    monkeypatch.setitem(BOARDS, "arty_a7_35t", small)
    result = run(*given, *GRID, "--board", "arty", "--all")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "4 DSP of 3" in said
    assert "8 DSP of 3" in said
    assert "2 DSP of 3" not in said
    assert "3 do not fit; too few are DSP in 3." in said
    assert "4 cannot be built: layer layer0:" in said


def test_the_artys_own_engine_fits_it(tmp_path):
    """`make demo` builds it, with memories deeper than the network needs."""
    page = tmp_path / "space.html"
    own = PRESETS["arty_a7_35t"]
    grid = ["--lanes", own.lanes, "--groups", own.groups, "--queue", 32, "--entry-bits", "9,10"]
    arguments = [*grid, "--count", 1, "--jobs", 1, "--html", page]
    on_arty = run(*arguments, "--board", "arty", "--json")
    assert on_arty.exit_code == 0, on_arty.output
    anywhere = json.loads(run(*arguments[:-2], "--json").stdout)["points"]
    network = thr.read(networks.LENET300100)
    x = np.zeros((1, 784), np.int64)
    for point, shallow in zip(json.loads(on_arty.stdout)["points"], anywhere, strict=True):
        assert point["fits"], point["short"]
        assert shallow["resources"]["lut"] > 20_800 >= point["resources"]["lut"]
        assert shallow["resources"]["bram36"] < point["resources"]["bram36"] <= 50
        assert shallow["deepened"] == []
        changed = [k for k, depth in point["depths"].items() if depth > shallow["depths"][k]]
        assert point["deepened"] == changed != []
        knobs = Knobs(own.lanes, own.groups, 32, point["entry_bits"])
        minimal = evaluate(network, x, knobs, own.shared_tables)
        deeper = dataclasses.replace(minimal.config, **point["depths"])
        assert memory_bits(deeper) == point["memory_bits"] > shallow["memory_bits"]
        assert predict(pack(network, deeper), x).cycles == minimal.cycles[0]
    said = " ".join(run(*arguments, "--board", "arty").stdout.split())
    for text in (said, page.read_text()):
        assert "would be too few for 2 points with memories just as deep" in text
    assert "; entry_depth 512" in page.read_text()


def test_the_table_is_the_front(given, record):
    result = run(*given, *GRID)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("front │" in line for line in lines) == sum(p["pareto"] for p in record["points"])
    assert "--all lists every one" in " ".join(result.stdout.split())


def test_plot_and_page(given, tmp_path):
    plot, page = tmp_path / "space.png", tmp_path / "space.html"
    result = run(*given, *GRID, "--board", "ulx3s", "--plot", plot, "--html", page)
    assert result.exit_code == 0, result.output
    with Image.open(plot) as picture:
        assert picture.size == (1350, 840)
    text = page.read_text()
    assert not re.search(r"<(script|link|img|iframe|object)|\b(src|href|on\w+)=", text)
    assert text.count("<circle") == 4
    assert (
        text.count("<tr") == 2 + 8 + sum("front" in line for line in result.stdout.splitlines()) - 1
    )
    assert "EBR" in text
    for path in (plot, page):
        assert f"wrote {path}" in result.stderr.replace("\n", "")


def test_a_point_alone_has_a_page(given, tmp_path):
    page = tmp_path / "space.html"
    point = ["--lanes", 2, "--groups", 1, "--queue", 8, "--entry-bits", 9]
    result = run(*given, *point, "--html", page, "--plot", tmp_path / "space.png")
    assert result.exit_code == 0, result.output
    assert page.read_text().count("<circle") == 1


def test_a_shipped_network_on_embedded_images():
    point = ["--lanes", 4, "--groups", 4, "--queue", 32, "--entry-bits", 10]
    result = run(*point, "--count", 2, "--jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["network"], record["inputs"]) == ("lenet300100-best", 2)
    assert record["points"][0]["pareto"]


def test_a_fit_to_builds(given, tmp_path):
    shapes = [(1, 1, 1000), (2, 1, 1500), (2, 2, 2500), (4, 4, 9000)]
    arguments = []
    for lanes, groups, luts in shapes:
        config = dataclasses.replace(PRESETS["tiny"], lanes=lanes, groups=groups)
        folder = tmp_path / f"{lanes}x{groups}"
        folder.mkdir()
        used = {"lut": luts, "bram36": 2, "dsp": lanes * groups}
        summary = {
            "board": "arty_a7_35t",
            "part": "xc7",
            "config": dataclasses.asdict(config),
            "toolchain": "vivado",
            "clock_mhz": 50,
            "fmax_mhz": 77,
            "resources": {name: {"used": n} for name, n in used.items()},
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        arguments += ["--fit", folder]
    result = run(*given, *GRID, *arguments, "--json")
    assert result.exit_code == 0, result.output
    model = json.loads(result.stdout)["model"]
    assert (model["source"], model["engines"], model["elements"]) == (
        "builds by vivado",
        4,
        [1, 16],
    )
    assert model["stale"] is None
    alone = run(*given, *GRID, *arguments[:2])
    assert "How far off that is cannot be told from one engine." in alone.stdout
    refused = run(*given, *GRID, *arguments, "--board", "ulx3s")
    assert refused.exit_code == 2
    assert "is a build for arty_a7_35t, which is not of family ecp5" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "network 'none' is neither a .thr file nor one of lenet300100-best,"),
        (["--lanes", ""], "--lanes has ''; name whole numbers, such as 2,4,8"),
        (["--lanes", "2,x"], "--lanes has 'x'; name whole numbers"),
        (["--groups", "0"], "--groups has 0; it must be from 1 to 64"),
        (["--queue", "2"], "--queue has 2; it must be from 6 to 1024"),
        (["--entry-bits", "17"], "--entry-bits has 17; it must be from 1 to 16"),
        (["--lanes", "64", "--groups", "8"], "no point of the grid can be built; the first: lanes"),
        (["--entry-bits", "3"], "can be built; the first: layer ip1: its 4-bit codes do not fit"),
        (["--count", "0"], "0 images of mnist are asked for; it must be 1 or more"),
        (["--jobs", "0"], "--jobs is 0; it must be 1 or more"),
        (["--backend", "dask"], "--backend dask and --scheduler ADDRESS go together"),
        (["--scheduler", "x:1"], "--backend dask and --scheduler ADDRESS go together"),
        (["--board", "none"], "unknown board 'none'"),
        (["--plot", "space.pdf"], "space.pdf is not a name for a plot"),
        (["--html", "none/space.html"], "none/space.html cannot be written"),
        (["--html", "/proc/space.html"], "/proc/space.html cannot be written"),
        (["--plot", "/proc/space.png"], "/proc/space.png cannot be written"),
        (["--fit", "none"], "none is no folder of a build"),
    ],
)
def test_refusals(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert "points" not in result.stderr  # no work was begun
    assert result.stdout == ""


def test_memories_that_no_point_has(given, tmp_path, monkeypatch):
    """That alone is known only when the points have been tried."""
    monkeypatch.setitem(config._LIMITS, "bias_depth", (2, 128))
    thr.write(tmp_path / "net.thr", network_of(layer_of(24, 600)))
    result = run(tmp_path / "net.thr", *given[1:], *GRID, "--entry-bits", 9)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no point of the grid can be built; the first: layer layer0: " in result.stderr
    assert "600 rows are needed, more than any engine of 2 elements has" in result.stderr


def test_one_of_a_kind_is_in_the_singular(given, tmp_path, monkeypatch):
    small = dataclasses.replace(BOARDS["arty_a7_35t"], capacity={"lut": 9e9, "dsp": 1})
    monkeypatch.setitem(BOARDS, "arty_a7_35t", small)
    point = ["--lanes", 2, "--groups", 1, "--queue", 8, "--entry-bits", 9]
    page = tmp_path / "space.html"
    said = " ".join(run(*given, *point, "--board", "arty", "--html", page).stdout.split())
    assert "; 1 engine on arty_a7_35t, 0 on the Pareto front" in said
    assert "1 does not fit; too few are DSP in 1." in said
    assert ": 1 engine for arty_a7_35t</h1>" in page.read_text()
    assert "<summary>1 point</summary>" in page.read_text()


def test_no_inputs(folder, tmp_path):
    np.save(tmp_path / "x.npy", X[:0])
    result = run(folder / "net.thr", "--inputs", tmp_path / "x.npy")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    wrong = run(folder / "net.thr")
    assert wrong.exit_code == 2
    assert "takes 24 inputs, an image of mnist has 784 pixels" in wrong.stderr


def test_a_family_of_which_no_engine_was_counted():
    result = run(networks.LENET300100, "--board", "icebreaker")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no engine for iCE40UP5K-SG48I was counted to predict from" in result.stderr
