"""The account of a compressed network as JSON has it."""

from __future__ import annotations

import dataclasses
from typing import Any

from .account import PARTS, Account
from .kinds import shape_record

__all__ = ["record"]


def record(of: Account) -> dict[str, Any]:
    """The account as JSON has it; shares and rates are from 0 to 1, means in bits.

    ``bytes``, ``float32_bytes``, ``ratio``
        Of the file, of all weights and biases as 32-bit floats, the second by the first.
    ``ratio_runtime``, ``runtime_bytes``
        With codes and gaps at fixed width, padding, codebooks and biases, and nothing else.
    ``parameters``, ``weights``, ``nonzeros``, ``density``
        Parameters are weights and biases. Layers that are structure count for none of these.
    ``container_bytes``, ``exact``
        Bytes that belong to no layer; false if another encoder wrote the file, so that bits of
        parts are estimates.
    ``published``
        Null, or the paper's network: ``name``, ``error_dense`` and ``error_compressed`` in
        percent, ``ratio``.
    ``stages``
        Bytes after each step of compression: ``step``, ``bytes``.
    ``layers``
        ``name``, what `shape_record` gives, ``rows``, ``columns``, ``weights``, ``nonzeros``,
        ``density``, ``coder``, ``values`` (of the codebook, 0 included), ``bytes``, ``entries``
        and, of them, ``padding``, and:

        ``bits``
            Those of each part of the file's section, which make 8 times ``bytes``. Where the coder
            is arithmetic, ``codes`` holds the positions too and ``gaps`` is 0.
        ``fixed``
            Width of a code and of a gap, and the bits of all, padding included.
        ``mean``
            Bits a non-zero weight: ``code`` and ``gap`` as stored, null for the arithmetic coder,
            and ``both``, with tables. Null where there is no such weight.
        ``entropy``
            Least bits of the ``codes`` and ``gaps`` of entries (zeroth order), and of ``positions``
            and ``values`` if weights are drawn alone and alike.
        ``rate_pq``, ``rate_pqh``
            Of the weights alone, fixed and stored, codebook and tables included, as in the paper.
        ``published``
            The paper's row, or null.
    """
    paper = of.published
    return {
        "bytes": of.bytes,
        "float32_bytes": of.float32_bytes,
        "ratio": of.ratio,
        "ratio_runtime": of.ratio_runtime,
        "runtime_bytes": of.runtime / 8,
        "parameters": of.parameters,
        "weights": of.weights,
        "nonzeros": of.nonzeros,
        "density": of.nonzeros / of.weights,
        "container_bytes": of.container,
        "exact": of.exact,
        "published": paper
        and {
            "name": paper.name,
            "error_dense": paper.error_dense,
            "error_compressed": paper.error_compressed,
            "ratio": paper.ratio,
        },
        "stages": [{"step": step, "bytes": size} for step, size in of.stages],
        "layers": [_layer(of, place) for place in range(len(of.layers))],
    }


def _layer(account: Account, place: int) -> dict[str, Any]:
    of = account.layers[place]
    parts, joint = of.stored, of.stored.coder == "arithmetic"
    both = parts.codes + parts.gaps + parts.tables
    return {
        "name": of.layer.name,
        **shape_record(account.network, place),
        "rows": of.layer.rows,
        "columns": of.layer.columns,
        "weights": of.weights,
        "nonzeros": of.nonzeros,
        "density": of.density,
        "coder": parts.coder,
        "values": len(of.layer.codebook),
        "bytes": parts.bytes,
        "entries": parts.entries,
        "padding": parts.padding,
        "bits": {part: getattr(parts, part) for part in PARTS},
        "fixed": {
            "code_width": of.layer.code_bits,
            "gap_width": parts.gap_bits,
            "codes": parts.fixed_codes,
            "gaps": parts.fixed_gaps,
        },
        "mean": {
            "code": None if joint else of.per_nonzero(parts.codes),
            "gap": None if joint else of.per_nonzero(parts.gaps),
            "both": of.per_nonzero(both),
        },
        "entropy": {
            "codes": of.code_entropy,
            "gaps": of.gap_entropy,
            "positions": of.position_entropy,
            "values": of.value_entropy,
        },
        "rate_pq": of.rate_pq,
        "rate_pqh": of.rate_pqh,
        "published": of.published and dataclasses.asdict(of.published),
    }
