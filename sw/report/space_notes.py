"""What the predicted resources of a design space are worth, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["EXTRAPOLATED", "count", "model_notes"]

EXTRAPOLATED = "*"
"""What marks LUTs that are extrapolated, in tables."""


def count(number: int, noun: str) -> str:
    """A number of things in words: "1 point", "2 points"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def model_notes(
    record: Mapping[str, Any], titles: Mapping[str, str], shown: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Sentences on where resources come from, and how far off they may be.

    Parameters
    ----------
    record : what `thresher explore --json` prints
    titles : of resources, as `hw.boards.RESOURCES`
    shown : the record's points that the reader sees
    """
    model = record["model"]
    least, greatest = model["elements"]
    notes = [
        f"Resources are predicted, for the whole design on {record['family']}: memories by their "
        f"sizes, logic by a fit to {model['source']}: {model['engines']} of {least} to {greatest} "
        "elements."
    ]
    if model["held_out_errors"] is None:
        notes.append("How far off that is cannot be told from one engine.")
    else:
        errors = ", ".join(f"{titles[n]} {e:.1%}" for n, e in model["held_out_errors"].items())
        notes.append(
            "Each of these engines was also predicted by a fit to the others, as if it had not "
            f"been counted; the greatest errors were {errors}."
        )
    if any(point["extrapolated"] and point["resources"] for point in shown):
        notes.append(
            f"{EXTRAPOLATED} More or fewer elements than any of these has: extrapolated, and may "
            "be further off."
        )
    deepened = sum(bool(point["deepened"]) for point in record["points"])
    if deepened:
        notes.append(
            f"LUTs would be too few for {count(deepened, 'point')} with memories just as deep as "
            "the network needs: theirs are deeper, of block RAM, as far as that helps; --json has "
            "the `depths`."
        )
    if model["stale"]:
        notes.append("The hardware has changed since these engines were counted.")
    return notes
