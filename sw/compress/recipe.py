"""Recipes: how a network is compressed, as small TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hw.layouts import CODE_BITS_MAX
from sw.errors import BadInput
from sw.network import Network

from .rules import PLACES, matching

__all__ = [
    "NAMES",
    "Coding",
    "LayerRule",
    "Pruning",
    "Recipe",
    "Sharing",
    "Training",
    "load",
    "read_text",
]

_FOLDER = resources.files("sw").joinpath("recipes")
NAMES = ("best", "deep-compression", "no-training")

Share = Annotated[float, Field(gt=0, le=1)]
CodeBits = Annotated[int, Field(ge=1, le=CODE_BITS_MAX)]
Values = Annotated[int, Field(ge=1, lt=1 << CODE_BITS_MAX)]
Coder = Literal["packed", "huffman", "arithmetic", "smallest"]
Initialisation = Literal["forgy", "density", "linear"]


class _Table(BaseModel):
    """A table of a recipe: nothing in it that is not known, nothing of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Training(_Table):
    """How the weights that are left learn on, with AdamW and a rate that falls along a cosine."""

    epochs: int = Field(0, ge=0, description="passes over the training inputs; 0 trains nothing")
    batch: int = Field(256, ge=1, description="inputs of a step")
    rate: float = Field(2e-3, gt=0, description="learning rate of AdamW at the start")
    cycles: int = Field(1, ge=1, description="times that the learning rate starts anew")
    decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a hidden dense layer's inputs to drop while the layer is dense; it "
        "shrinks with the square root of the density (Han et al. 2015, equation 2)",
    )
    distillation: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the loss that compares with the dense network's softened outputs "
        "(Hinton et al. 2015); the rest compares with the labels",
    )
    temperature: float = Field(3.0, gt=0, description="of that softening")
    smoothing: float = Field(0.0, ge=0, lt=1, description="of the labels (Szegedy et al. 2016)")
    distortion: float = Field(
        0.0,
        ge=0,
        description="strength of random distortions of the inputs (Simard et al. 2003), which "
        "must be square images if it is not 0; 1 suits handwritten digits",
    )


class Pruning(_Table):
    """Which weights go, and when."""

    method: Literal["none", "magnitude", "surgery"] = Field(
        "magnitude",
        description="surgery lets pruned weights learn on and come back (Guo et al. 2016)",
    )
    criterion: Literal["magnitude", "fisher"] = Field(
        "magnitude",
        description="what is smallest goes: the weight itself, or how much the "
        "training loss would feel it, by the Fisher information (LeCun et al. 1990)",
    )
    scope: Literal["layer", "network"] = Field(
        "layer", description="whether each layer has its density, or only all of them together"
    )
    density: Share = Field(1.0, description="share of the weights that is left in the end")
    schedule: Literal["oneshot", "iterative", "gradual"] = Field(
        "oneshot",
        description="at once, in steps by an equal factor with retraining after each (Han et al. "
        "2015), or "
        "along a cubic curve (Zhu and Gupta 2017)",
    )
    rounds: int = Field(1, ge=1, description="steps of the iterative schedule")
    ramp: Share = Field(
        0.6, description="part of the training in which the gradual schedule prunes"
    )
    training: Training = Training()

    @model_validator(mode="after")
    def _learned(self) -> Self:
        learns = self.method == "surgery" or self.criterion != "magnitude"
        if self.method != "none" and learns and not self.training.epochs:
            raise ValueError(
                f"method {self.method} by criterion {self.criterion} needs training.epochs above 0"
            )
        return self

    def density_at(self, time: float, first: float, final: float) -> float:
        """Density of a layer when the part `time` of the training is over.

        Parameters
        ----------
        first, final : float
            Densities before the training and after it.
        """
        if self.schedule == "oneshot" or first <= final:
            return final
        if self.schedule == "iterative":
            done = min(1.0, (int(time * self.rounds) + 1) / self.rounds)
            return float(first * (final / first) ** done)
        return final + (first - final) * max(0.0, 1 - time / self.ramp) ** 3


class Sharing(_Table):
    """How weights come to share the values of a codebook."""

    method: Literal["optimal", "lloyd"] = Field(
        "optimal", description="optimal one-dimensional k-means, or Lloyd's iteration"
    )
    initialisation: Initialisation = Field(
        "linear", description="where Lloyd's iteration begins (Han et al. 2016, section 3.2)"
    )
    code_bits: CodeBits = Field(4, description="2^bits - 1 values a layer, and 0")
    values: Values | None = Field(None, description="that many values a layer instead")
    schedule: Literal["oneshot", "gradual"] = Field(
        "oneshot",
        description="all weights share at once and only centroids are tuned, as in the paper, or "
        "weights settle little by little while the others make up for it (Zhou et al. 2017)",
    )
    ramp: Share = Field(
        0.7, description="part of the training in which the gradual schedule lets weights settle"
    )
    rate_distortion: float = Field(
        0.0,
        ge=0,
        description="loss, in nats, that a bit of the file is worth: a weight that settles takes a "
        "cheaper code, 0 included, where that costs less (gradual schedule)",
    )
    training: Training = Training()

    @model_validator(mode="after")
    def _moved(self) -> Self:
        if self.rate_distortion and self.schedule != "gradual":
            raise ValueError('rate_distortion needs schedule = "gradual"')
        return self


class Coding(_Table):
    """How numbers and codes are stored."""

    coder: Coder = Field("huffman", description="entropy coder of the .thr file")
    weight_bits: int = Field(16, ge=4, le=16, description="signed width of codebook values")
    activation_bits: int = Field(16, ge=4, le=16, description="signed width of activations")
    accumulator_bits: int = Field(32, ge=16, le=48, description="signed width of accumulators")
    bias_bits: int | None = Field(
        None,
        ge=2,
        le=48,
        description="significant bits of a layer's largest bias; all that the accumulator has if "
        "not given",
    )
    fold_dead: bool = Field(
        False,
        description="units that no longer depend on the input become part of the next layer's "
        "biases",
    )


class LayerRule(_Table):
    """What is different for some layers."""

    match: str = Field(
        description="name of a layer, with * and ? as in file names, or one of @convolution, "
        "@dense, @first, @flattened (dense, after planes) and @last"
    )
    density: Share | None = None
    code_bits: CodeBits | None = None
    values: Values | None = None
    initialisation: Initialisation | None = None
    coder: Coder | None = None

    @field_validator("match")
    @classmethod
    def _known_place(cls, match: str) -> str:
        if match.startswith("@") and match not in PLACES:
            raise ValueError(f"{match!r} is no place; there are {', '.join(PLACES)}")
        return match


class Recipe(_Table):
    """A whole recipe; of the rules that match a layer, the last that says something counts."""

    description: str
    prune: Pruning = Pruning()
    share: Sharing = Sharing()
    code: Coding = Coding()
    layer: tuple[LayerRule, ...] = Field((), strict=False)

    @property
    def trains(self) -> bool:
        """Whether training data is needed."""
        return bool(self.prune.training.epochs or self.share.training.epochs)

    def override(
        self,
        density: float | None,
        code_bits: int | None,
        of_layers: Iterable[tuple[str, float | None, int | None]] = (),
    ) -> Recipe:
        """The recipe with this density and these code bits, for all layers, where given.

        Parameters
        ----------
        of_layers : iterable of (match, density, code bits)
            For some layers, in place of both.

        Raises
        ------
        BadInput
            If one is out of range.
        """
        rules = list(of_layers)
        for _, share, bits in (("", density, code_bits), *rules):
            if share is not None and not 0 < share <= 1:
                raise BadInput(f"density is {share:g}; it must be above 0 and at most 1")
            if bits is not None and not 1 <= bits <= CODE_BITS_MAX:
                raise BadInput(f"code bits are {bits}; they must be from 1 to {CODE_BITS_MAX}")
        table = self.model_dump()
        prunes = density is not None or any(share is not None for _, share, _ in rules)
        if prunes and self.prune.method == "none":
            table["prune"] |= {"method": "magnitude", "density": 1.0}
        if density is not None:
            table["prune"] |= {"density": density}
        if code_bits is not None:
            table["share"] |= {"code_bits": code_bits, "values": None}
        for rule in table["layer"]:
            if density is not None:
                rule["density"] = None
            if code_bits is not None:
                rule["code_bits"] = rule["values"] = None
        table["layer"] = [
            *table["layer"],
            *({"match": m, "density": share, "code_bits": bits} for m, share, bits in rules),
        ]
        return _validated(table, "the recipe with what was asked for")

    def densities(self, network: Network) -> list[float]:
        """Density of each layer; fixed ones stay whole."""
        return [
            1.0
            if layer.fixed
            else next((r.density for r in rules if r.density is not None), self.prune.density)
            for layer, rules in zip(network.layers, self._rules(network), strict=True)
        ]

    def values(self, network: Network) -> list[int]:
        """Distinct non-zero weights of each layer; in fixed ones, as many as there can be."""
        return [
            (1 << CODE_BITS_MAX) - 1
            if layer.fixed
            else next(
                (
                    r.values or (1 << (r.code_bits or 0)) - 1
                    for r in rules
                    if r.values is not None or r.code_bits is not None
                ),
                self.share.values or (1 << self.share.code_bits) - 1,
            )
            for layer, rules in zip(network.layers, self._rules(network), strict=True)
        ]

    def initialisations(self, network: Network) -> list[Initialisation]:
        """Start of Lloyd's iteration of each layer."""
        return [
            next((r.initialisation for r in rules if r.initialisation), self.share.initialisation)
            for rules in self._rules(network)
        ]

    def coders(self, network: Network) -> list[Coder]:
        """Entropy coder of each layer."""
        return [
            next((r.coder for r in rules if r.coder), self.code.coder)
            for rules in self._rules(network)
        ]

    def _rules(self, network: Network) -> list[list[LayerRule]]:
        """Rules that match each layer, the last first.

        Raises
        ------
        BadInput
            If a rule names a layer that there is not, or only such as are fixed.
        """
        matched = matching(network, [rule.match for rule in self.layer])
        for place, rule in enumerate(self.layer):
            hit = [layer for layer, of in zip(network.layers, matched, strict=True) if place in of]
            changes = rule.model_dump(exclude={"match", "coder"}, exclude_none=True)
            named = not rule.match.startswith("@")
            if named and changes and all(layer.fixed for layer in hit):
                raise BadInput(
                    f"the recipe has a rule for {rule.match!r}, but the weights of layer "
                    f"{hit[0].name!r} are a part of the structure: they are neither pruned nor "
                    "shared"
                )
        return [[self.layer[place] for place in of] for of in matched]


def load(name: str) -> Recipe:
    """Recipe of that name, or of the TOML file there.

    Raises
    ------
    BadInput
        If there is none, or it is not sound: names the file, the setting and what is wrong.
    """
    text = read_text(name)
    try:
        return _validated(tomllib.loads(text), f"recipe {name}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"recipe {name} is not TOML: {error}") from error


def read_text(name: str) -> str:
    """The TOML of a recipe, by name or file.

    Raises
    ------
    BadInput
        If there is none.
    """
    if name in NAMES:
        return _FOLDER.joinpath(f"{name}.toml").read_text("utf-8")
    path = Path(name)
    if path.suffix != ".toml" or not path.is_file():
        if path.suffix == ".toml" and not path.exists():
            raise BadInput(f"recipe {name}: there is no such file")
        raise BadInput(f"recipe {name!r} is neither a .toml file nor one of {', '.join(NAMES)}")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"recipe {name} cannot be read: {error}") from error


def _validated(table: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise BadInput(f"{where}: {_sentence(error)}") from error


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, and what would be right."""
    first = error.errors()[0]
    setting = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{setting} is missing"
    if first["type"] == "extra_forbidden":
        return f"there is no setting {setting}; there are {', '.join(_siblings(first['loc']))}"
    if first["type"] == "value_error":
        return f"{setting}: {first['ctx']['error']}"
    return f"{setting} is {first['input']!r}: {first['msg']}"


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    """Settings of the table in which the one at that place is."""
    table: type[BaseModel] = Recipe
    for part in loc[:-1]:
        if isinstance(part, str):
            found = table.model_fields[part].annotation
            table = found if isinstance(found, type) and found is not tuple else LayerRule
    return list(table.model_fields)
