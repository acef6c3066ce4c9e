"""`thresher inspect`: where the bits of a .thr file go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Group
from rich.table import Table

from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.read import read_network
from sw.report import kinds, sizes
from sw.report.account import PARTS, Account, LayerAccount, account
from sw.report.record import record

from .inputs import arch_option
from .output import check_output, console, emit, json_option

__all__ = ["inspect"]

_LEFT = ("layer", "coder", "form", "kind", "kernel", "pooling", "takes")  # columns of words


@click.command(
    epilog="""
    \b
    Examples:
      thresher inspect lenet.thr
      thresher inspect lenet.thr --html lenet.html --before lenet_dense.npz
          also draws the weights before compression
      thresher inspect lenet.thr --json | jq '.layers[] | [.name, .bytes, .rate_pqh]'
    """
)
@click.argument("model", metavar="MODEL.thr", type=click.Path(path_type=Path))
@click.option(
    "--html",
    metavar="OUT.html",
    type=click.Path(path_type=Path),
    help="Write a report with pictures: one file, which needs no other and no network.",
)
@click.option(
    "--before",
    metavar="NET",
    type=click.Path(path_type=Path),
    help="The trained network that MODEL.thr was made of, for the pictures of the report.",
)
@arch_option
@json_option
def inspect(
    model: Path, html: Path | None, before: Path | None, arch: str | None, as_json: bool
) -> None:
    """Tell where the bits of MODEL.thr go, layer by layer, to the last one.

    Bits of codes and gaps before and after entropy coding, padding, tables, codebooks, biases; the
    paper's rates at run time (P+Q) and as stored (P+Q+H), beside its own rows where the network is
    one of them; the entropy; and the same weights in other forms, measured in this run.
    """
    if before is not None and html is None:
        raise BadInput("--before is for the pictures of a report: name one with --html")
    if arch is not None and before is None:
        raise BadInput("--arch says how the arrays of --before are connected: give that too")
    if html is not None:
        check_output(html, model, before)
    with console().status("reading") as status:
        network = thr.read(model)
        weights = None if before is None else _before(before, arch, model, network)
        status.update("accounting")
        found = account(model.read_bytes(), network)
        status.update("measuring other forms")
        plain = sizes.plain_sizes(network)
        best = sizes.best_sizes(network, lambda name: status.update(f"measuring {name}"))
        if html is not None:
            status.update("drawing")
            _write(html, found, model, (plain, best), weights)
    made: dict[str, Any] = {"model": model, "html": html} | record(found)
    made["sizes"] = {"plain": plain, "best": best}
    emit(made, _show(found, model, plain, best), as_json)
    if html is not None:
        console().print(f"wrote {html}")


def _before(
    path: Path, arch: str | None, model: Path, network: CompressedNetwork
) -> list[NDArray[np.float64]]:
    """Weights of the network that another was made of, layer by layer."""
    layers = read_network(path, arch).layers
    if len(layers) != len(network.layers):
        raise BadInput(
            f"{path} has {_number(layers)} and {model} has {_number(network.layers)}; --before "
            "takes the network that the other was made of"
        )
    for layer, compressed in zip(layers, network.layers, strict=True):
        if layer.name != compressed.name:
            raise BadInput(
                f"{path} has a layer {layer.name!r} where {model} has {compressed.name!r}; "
                "--before takes the network that the other was made of"
            )
        if layer.weights.shape != compressed.codes.shape:
            rows, columns = compressed.codes.shape
            raise BadInput(
                f"{path}: layer {layer.name!r} has {layer.weights.shape[0]} × "
                f"{layer.weights.shape[1]} weights where {model} has {rows} × {columns}; --before "
                "takes the network that the other was made of"
            )
    return [layer.weights for layer in layers]


def _number(layers: Sequence[object]) -> str:
    return f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"


def _write(
    path: Path,
    found: Account,
    model: Path,
    measured: tuple[dict[str, int], dict[str, int]],
    weights: Sequence[NDArray[np.float64]] | None,
) -> None:
    from sw.report.html import render  # matplotlib takes long to import

    page = render(found, model.name, *measured, weights)
    thr.write_file(path, page.encode("utf-8", "replace"))


def _show(found: Account, model: Path, plain: dict[str, int], best: dict[str, int]) -> Group:
    total = (
        f"{model}: {found.bytes:,} bytes, {found.ratio:.1f} times less than "
        f"{found.float32_bytes:,} as 32-bit floats; {found.ratio_runtime:.1f} times at run time"
    )
    notes = [total]
    if found.published is not None:
        paper = found.published
        notes.append(
            f"Deep Compression's {paper.name}: {paper.ratio:g} times, at an error of "
            f"{paper.error_compressed} % (Han, Mao, Dally, ICLR 2016)"
        )
    if any(layer.stored.coder == "arithmetic" for layer in found.layers):
        notes.append(
            "arithmetic: codes and places of weights are one stream, so codes stand for both and "
            "gaps take nothing; their width is the one that would take fewest bits"
        )
    if not found.exact:
        notes.append(
            "another encoder wrote this file: bits of parts are what this program would need, the "
            "rest is filling"
        )
    tables = [*(table(found) for table in (_layers, _means, _parts)), _forms(found, plain, best)]
    convolutions = any(layer.layer.convolution is not None for layer in found.layers)
    if convolutions or not kinds.is_plain(found.network):
        tables.insert(0, _structure(found))
    if any(layer.structure for layer in found.layers):
        notes.append(
            "additions, means and identities have no parameters: their weights, all alike, are in "
            "the file and in nothing that it is compared with"
        )
    return Group(*(part for table in tables for part in (table, "")), *notes)


def _structure(found: Account) -> Table:
    plain = kinds.is_plain(found.network)
    headings = ["layer", "kind", "kernel", "pooling", "outputs"]
    table = _table("Structure", headings if plain else ["", *headings, "takes"])
    numbers = [str(number) for number, _ in enumerate(found.layers, 1)]
    for place, layer in enumerate(found.layers):
        cells = (
            kinds.kind(layer.layer),
            kinds.kernel(layer.layer).replace(", stride", ",\nstride"),
            kinds.pooling(layer.layer.convolution).replace(", stride", ",\nstride"),
            kinds.outputs(layer.layer),
        )
        if plain:
            table.add_row(layer.title, *cells)
        else:
            takes = kinds.taken(numbers, found.network, place)
            table.add_row(numbers[place], layer.title, *cells, takes)
    return table


def _layers(found: Account) -> Table:
    table = _table(
        "Layers",
        (
            "layer",
            "shape",
            "left",
            "density",
            "coder",
            "code +\ngap",
            "padding\nentries",
            "P+Q",
            "P+Q+H",
        ),
    )
    for layer in found.layers:
        stored, paper = layer.stored, layer.published
        rates = [f"{layer.density:.1%}", f"{layer.rate_pq:.2%}", f"{layer.rate_pqh:.2%}"]
        if layer.structure:
            rates = [""] * 3  # there are no parameters to compare with
        table.add_row(
            layer.title,
            f"{layer.layer.rows:,} × {layer.layer.columns:,}",
            f"{layer.nonzeros:,}",
            rates[0],
            stored.coder,
            f"{layer.layer.code_bits} + {stored.gap_bits}",
            f"{stored.padding:,}",
            *rates[1:],
        )
        if paper is not None:
            table.add_row(
                "  the paper",
                "",
                "",
                f"{paper.density:.1%}",
                "huffman",
                f"{paper.code_bits} + {paper.gap_bits}",
                "",
                f"{paper.rate_pq:.2%}",
                f"{paper.rate_pqh:.2%}",
                style="dim",
            )
    return table


def _means(found: Account) -> Table:
    table = _table(
        "Bits a weight that is left, fixed → stored, and bounds for coders without context",
        (
            "layer",
            "codes",
            "gaps",
            "both, with\ntables",
            "bound: codes\nand gaps",
            "bound: places\nand values",
        ),
    )
    for layer in found.learned:
        stored, paper = layer.stored, layer.published
        joint = stored.coder == "arithmetic"  # one stream
        both = stored.codes + stored.gaps + stored.tables
        table.add_row(
            layer.title,
            _change(layer, stored.fixed_codes, None if joint else stored.codes),
            _change(layer, stored.fixed_gaps, None if joint else stored.gaps),
            _change(layer, stored.fixed_codes + stored.fixed_gaps, both),
            _mean(layer.per_nonzero(layer.code_entropy + layer.gap_entropy)),
            _mean(layer.per_nonzero(layer.position_entropy + layer.value_entropy)),
        )
        if paper is not None:
            table.add_row(
                "  the paper",
                f"{paper.code_bits} → {paper.code_bits_huffman:.2f}",
                f"{paper.gap_bits} → {paper.gap_bits_huffman:.2f}",
                style="dim",
            )
    return table


def _parts(found: Account) -> Table:
    headings = (*PARTS[:-2], "header,\nfilling", "bytes")
    table = _table("Bits of the file", ("layer", *headings))
    for layer in found.layers:
        bits = [getattr(layer.stored, part) for part in PARTS]
        table.add_row(layer.title, *_joined(bits), f"{layer.stored.bytes:,}")
    table.add_row("of no layer", *[""] * 6, f"{found.container:,}")
    table.add_section()
    sums = [sum(getattr(layer.stored, part) for layer in found.layers) for part in PARTS]
    table.add_row("file", *_joined(sums), f"{found.bytes:,}")
    return table


def _joined(bits: list[int]) -> list[str]:
    """Cells of the parts, the last two as one."""
    return [f"{part:,}" for part in (*bits[:-2], sum(bits[-2:]))]


def _forms(found: Account, plain: dict[str, int], best: dict[str, int]) -> Table:
    headings = ("form", "bytes", "best form\nof several", "against\nthe file")
    table = _table("The same network in other forms", headings)
    for form, size in plain.items():
        least = best.get(form, size)
        table.add_row(
            sizes.FORMS[form],
            f"{size:,}",
            f"{least:,}" if form in best else "-",
            f"{min(size, least) / found.bytes:.2f} ×",
        )
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False
    )
    for heading in headings:
        justify: Literal["left", "right"] = "left" if heading in _LEFT else "right"
        table.add_column(heading, justify=justify, no_wrap=heading != "layer", overflow="fold")
    return table


def _change(layer: LayerAccount, fixed: int, stored: int | None) -> str:
    """Means before and after; only before where it is not known after."""
    before = _mean(layer.per_nonzero(fixed))
    return before if stored is None else f"{before} → {_mean(layer.per_nonzero(stored))}"


def _mean(bits: float | None) -> str:
    return "-" if bits is None else f"{bits:.2f}"
