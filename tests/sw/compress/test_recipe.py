"""Recipes: shipped ones, rules, and mistakes that are told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from wired import residual

import sw
from sw.architectures import template
from sw.compress.recipe import NAMES, Coding, Recipe, load, read_text
from sw.errors import BadInput
from sw.numbers import check_widths

LENET = template("lenet5")


def recipe(text: str = "") -> Recipe:
    """A recipe of TOML."""
    import tomllib

    return Recipe.model_validate(tomllib.loads('description = "x"\n' + text))


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What is said of a recipe with this text, after its name."""
    monkeypatch.chdir(tmp_path)

    def sentence(text: str, description: str = 'description = "x"\n') -> str:
        Path("mine.toml").write_text(description + text)
        with pytest.raises(BadInput) as error:
            load("mine.toml")
        said = str(error.value)
        assert said.startswith("recipe mine.toml")
        assert "\n" not in said
        return said.removeprefix("recipe mine.toml").removeprefix(": ")

    return sentence


def test_the_shipped_ones_are_those_that_are_named():
    folder = Path(sw.__file__).parent / "recipes"
    assert sorted(path.stem for path in folder.glob("*.toml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("network", ["lenet300100", "lenet5"])
def test_the_shipped_ones_load_and_suit_the_networks(name, network):
    one = load(name)
    shape = template(network)
    assert len(one.description) > 40
    assert one.trains is (name != "no-training")
    for setting in (one.densities, one.values, one.initialisations, one.coders):
        assert len(setting(shape)) == len(shape.layers)


def test_deep_compression_is_like_the_papers():
    one = load("deep-compression")
    assert one.densities(template("lenet300100")) == [0.08, 0.08, 0.22]
    assert one.values(template("lenet300100")) == [31, 31, 31]
    assert one.values(LENET) == [63, 63, 31, 31]
    assert set(one.coders(LENET)) == {"huffman"}
    assert one.share.method == "lloyd"
    assert one.share.initialisation == "linear"


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(read_text("best"))
    assert load(str(path)) == load("best")


@pytest.mark.parametrize("name", ["best.toml", "none.toml"])
def test_there_is_no_such_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=f"^recipe {name}: there is no such file$"):
        load(name)


@pytest.mark.parametrize("match", ["IP1", "ip-", "nosuchlayer"])
def test_a_rule_for_a_layer_that_there_is_not(tmp_path, match):
    path = tmp_path / "mine.toml"
    path.write_text(f'description = "x"\n[[layer]]\nmatch = "{match}"\ndensity = 0.5\n')
    with pytest.raises(BadInput, match=f"rule for layer '{match}'; .* conv1, conv2, ip1, ip2"):
        load(str(path)).densities(LENET)


@pytest.mark.parametrize("name", ["", "bests", ".", "BEST"])
def test_there_is_no_such_recipe(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as error:
        load(name)
    assert str(error.value) == (
        f"recipe {name!r} is neither a .toml file nor one of best, deep-compression, no-training"
    )


def test_what_is_not_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"mine\.toml cannot be read"):
        load(str(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[prune", "is not TOML: "),
        ("[prune]\nmethods = 3", "there is no setting prune.methods; there are method, criterion,"),
        (
            "prunes = 3",
            "there is no setting prunes; there are description, prune, share, code",
        ),
        (
            "[prune.training]\nepoch = 3",
            "there is no setting prune.training.epoch; there are ep",
        ),
        ("[[layer]]\nmatch = 'a'\nbits = 3", "there is no setting layer.0.bits; there are match, "),
        ("[prune]\nmethod = 'random'", "prune.method is 'random': Input should be 'none', 'magn"),
        ("[prune]\ndensity = 0", "prune.density is 0: Input should be greater than 0"),
        ("[prune]\ndensity = 1.5", "prune.density is 1.5: Input should be less than or equal to 1"),
        ("[prune]\ndensity = nan", "prune.density is nan: Input should be a finite number"),
        ("[prune]\ndensity = '0.1'", "prune.density is '0.1': Input should be a valid number"),
        ("[prune]\ndensity = true", "prune.density is True: Input should be a valid number"),
        ("[prune.training]\nepochs = 2.5", "prune.training.epochs is 2.5: Input should be a valid"),
        ("[prune.training]\nepochs = -1", "prune.training.epochs is -1: Input should be greater"),
        ("[prune.training]\nrate = inf", "prune.training.rate is inf: Input should be a finite"),
        ("[share.training]\ndropout = 1", "share.training.dropout is 1: Input should be less than"),
        ("[share]\ncode_bits = 9", "share.code_bits is 9: Input should be less than or equal to 8"),
        ("[share]\nvalues = 256", "share.values is 256: Input should be less than 256"),
        ("[code]\ncoder = 'zip'", "code.coder is 'zip': Input should be 'packed', 'huffman', "),
        ("[code]\naccumulator_bits = 64", "code.accumulator_bits is 64: Input should be less than"),
        ("[[layer]]\ndensity = 0.1", "layer.0.match is missing"),
        ("layer = 3", "layer is 3: Input should be"),
        ("[[layer]]\nmatch = '@frist'", "layer.0.match: '@frist' is no place; there are @convolut"),
        ("[[layer]]\nmatch = 'a'\n[[layer]]\nmatch = 1", "layer.1.match is 1: Input should be a"),
        ("[prune]\nmethod = 'surgery'", "prune: method surgery by criterion magnitude needs trai"),
        ("[prune]\ncriterion = 'fisher'", "prune: method magnitude by criterion fisher needs trai"),
        ("[share]\nrate_distortion = 1e-6", 'share: rate_distortion needs schedule = "gradual"'),
        ("prune = 3", "prune is 3: Input should be a"),
    ],
)
def test_mistakes(refused, text, sentence):
    assert sentence in refused(text)


def test_a_recipe_says_what_it_does(refused):
    assert refused("", description="") == "description is missing"


def rules(*lines: tuple[str, str]) -> str:
    return "".join(f"[[layer]]\nmatch = '{match}'\n{setting}\n" for match, setting in lines)


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ("@first", "conv1"),
        ("@last", "ip2"),
        ("@convolution", "conv1 conv2"),
        ("@dense", "ip1 ip2"),
        ("@flattened", "ip1"),
        ("conv2", "conv2"),
        ("ip?", "ip1 ip2"),
        ("*1", "conv1 ip1"),
        ("[ci]*2", "conv2 ip2"),
        ("*", "conv1 conv2 ip1 ip2"),
    ],
)
def test_what_rules_match(match, hit):
    one = recipe(rules((match, "density = 0.5")))
    names = [layer.name for layer in LENET.layers]
    assert one.densities(LENET) == [0.5 if name in hit.split() else 1.0 for name in names]


def test_a_network_of_one_layer_is_first_and_last():
    one = recipe(rules(("@first", "density = 0.5"), ("@last", "values = 3")))
    network = type(LENET)(LENET.layers[-1:])
    assert one.densities(network) == [0.5]
    assert one.values(network) == [3]


def test_the_last_rule_that_says_something_counts():
    one = recipe(
        "[prune]\ndensity = 0.9\n[share]\ncode_bits = 2\ninitialisation = 'forgy'\n"
        + rules(
            ("*", "density = 0.5\nvalues = 9\ncoder = 'packed'"),
            ("conv*", "density = 0.4"),
            ("*2", "code_bits = 3\ninitialisation = 'density'"),
            ("ip2", "coder = 'arithmetic'"),
        )
    )
    assert one.densities(LENET) == [0.4, 0.4, 0.5, 0.5]
    assert one.values(LENET) == [9, 7, 9, 7]
    assert one.initialisations(LENET) == ["forgy", "density", "forgy", "density"]
    assert one.coders(LENET) == ["packed", "packed", "packed", "arithmetic"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", 15),
        ("[share]\ncode_bits = 8", 255),
        ("[share]\ncode_bits = 1", 1),
        ("[share]\nvalues = 9", 9),
        ("[share]\ncode_bits = 2\nvalues = 9", 9),
    ],
)
def test_values(text, values):
    assert recipe(text).values(LENET) == [values] * 4


def test_override_takes_the_place_of_rules_too():
    one = load("deep-compression")
    assert one.override(None, None) == one
    dense = one.override(0.5, None)
    assert dense.densities(LENET) == [0.5] * 4
    assert dense.values(LENET) == one.values(LENET)
    short = one.override(None, 2)
    assert short.values(LENET) == [3] * 4
    assert short.densities(LENET) == one.densities(LENET)
    assert load("best").override(None, 2).values(LENET) == [3] * 4
    assert dense.prune.method == "magnitude"
    assert recipe("[prune]\nmethod = 'none'").override(0.5, None).prune.method == "magnitude"
    assert recipe("[prune]\nmethod = 'none'").override(None, 5).prune.method == "none"


@pytest.mark.parametrize("field", ["weight_bits", "activation_bits", "accumulator_bits"])
def test_widths_are_those_that_an_accelerator_can_have(field):
    widths = Coding().model_dump(include={"weight_bits", "activation_bits", "accumulator_bits"})
    allowed = []
    for bits in range(1, 80):
        try:
            check_widths(**widths | {field: bits})
        except BadInput:
            continue
        allowed.append(bits)
    schema = Coding.model_json_schema()["properties"][field]
    assert allowed == list(range(schema["minimum"], schema["maximum"] + 1))


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5, float("nan"), float("inf")])
def test_densities_out_of_range(density):
    with pytest.raises(BadInput) as error:
        load("best").override(density, None)
    assert str(error.value) == f"density is {density:g}; it must be above 0 and at most 1"


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_code_bits_out_of_range(bits):
    with pytest.raises(BadInput) as error:
        load("best").override(None, bits)
    assert str(error.value) == f"code bits are {bits}; they must be from 1 to 8"


def test_a_recipe_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load("best").prune.density = 0.5


RESIDUAL = residual()
FREE = [not layer.fixed for layer in RESIDUAL.layers]


def test_fixed_layers_are_exempt():
    one = recipe(
        "[prune]\ndensity = 0.1\n"
        + rules(("*", "values = 3\ncoder = 'packed'"), ("@first", "density = 0.9"))
    )
    densities = [0.9] + [0.1 if free else 1.0 for free in FREE[1:]]
    assert one.densities(RESIDUAL) == densities
    assert one.values(RESIDUAL) == [3 if free else 255 for free in FREE]
    assert set(one.coders(RESIDUAL)) == {"packed"}


@pytest.mark.parametrize("setting", ["density = 0.5", "values = 3", "code_bits = 2"])
@pytest.mark.parametrize("match", ["add1", "add?"])
def test_a_rule_for_nothing_but_fixed_layers(match, setting):
    with pytest.raises(BadInput) as error:
        recipe(rules((match, setting))).densities(RESIDUAL)
    assert str(error.value) == (
        f"the recipe has a rule for {match!r}, but the weights of layer 'add1' are a part of the "
        "structure: they are neither pruned nor shared"
    )


def test_rules_that_leave_the_weights_of_fixed_layers_alone():
    one = recipe(rules(("add1", "coder = 'packed'"), ("@convolution", "density = 0.5")))
    assert one.coders(RESIDUAL)[3] == "packed"
    only = type(RESIDUAL)((RESIDUAL.layers[3], RESIDUAL.layers[-1]))
    assert recipe(rules(("@convolution", "density = 0.5"))).densities(only) == [1.0, 1.0]


def test_places_of_a_graph():
    """The mean leaves single positions, so what comes after it is not flattened."""
    for match, hit in (("@flattened", []), ("@last", ["fc"]), ("@first", ["stem"])):
        densities = recipe(rules((match, "density = 0.5"))).densities(RESIDUAL)
        names = [layer.name for layer in RESIDUAL.layers]
        assert [n for n, density in zip(names, densities, strict=True) if density == 0.5] == hit
    ends = type(RESIDUAL)(RESIDUAL.layers[:-1])
    assert recipe(rules(("@last", "density = 0.5"))).densities(ends)[6] == 0.5  # project


def test_override_for_some_layers():
    one = load("no-training")
    some = one.override(None, 4, [("@convolution", None, 8)])
    assert some.values(LENET) == [255, 255, 15, 15]
    some = one.override(0.5, None, [("ip*", 0.1, None)])
    assert some.densities(LENET) == [0.5, 0.5, 0.1, 0.1]
    none = recipe("[prune]\nmethod = 'none'\ndensity = 0.3")
    some = none.override(None, None, [("ip*", 0.1, None)])
    assert some.densities(LENET) == [1.0, 1.0, 0.1, 0.1]
    assert some.prune.method == "magnitude"
    with pytest.raises(BadInput, match=r"^code bits are 9; they"):
        one.override(None, None, [("ip*", None, 9)])
    with pytest.raises(BadInput, match=r"^density is 2; it"):
        one.override(None, None, [("ip*", 2.0, None)])
    with pytest.raises(BadInput, match=r"asked for: layer.0.match: '@ip' is no place; there are"):
        one.override(None, None, [("@ip", None, 8)])
    best = load("best").override(None, None, [("ip1", 0.2, None)])
    assert best.densities(LENET) == [0.03, 0.03, 0.2, 0.03]
