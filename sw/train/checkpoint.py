"""Checkpoints: a training run that was stopped goes on as if it never had been."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from sw.errors import BadInput
from sw.format import write_file

__all__ = ["Checkpoint"]

_DIGEST_BYTES = 32


class Checkpoint:
    """State of a training run in a file that is whole or not touched.

    Parameters
    ----------
    path : Path, optional
        Without it nothing is kept.
    identity : str
        Digest of all that the run depends on.
    resume : bool
        Whether to begin with what the file holds.

    Raises
    ------
    BadInput
        If there is nothing to resume, or it is damaged or belongs to another run.
    """

    def __init__(self, path: Path | None, identity: str, resume: bool = False) -> None:
        self.path = path
        self.identity = identity
        self.state: dict[str, Any] | None = _read(path, identity) if path and resume else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace what is kept."""
        if self.path is None:
            return
        file = io.BytesIO()
        torch.save({"identity": self.identity, **state}, file)
        data = file.getvalue()
        write_file(self.path, hashlib.sha256(data).digest() + data)

    def take(self, stage: str) -> dict[str, Any] | None:
        """State to resume the stage of that name with, if that is where the run was stopped."""
        if not self.holds(stage):
            return None
        state, self.state = self.state, None
        return state

    def holds(self, stage: str) -> bool:
        """Whether the run was stopped in the stage of that name."""
        return self.state is not None and self.state["stage"] == stage

    def remove(self) -> None:
        """Delete the file when the run is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _read(path: Path, identity: str) -> dict[str, Any]:
    if not path.is_file():
        raise BadInput(f"{path}: there is no stopped run to resume")
    data = path.read_bytes()
    digest, data = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise BadInput(
            f"{path} is damaged or no checkpoint: its digest does not match; delete it to begin "
            "again"
        )
    try:
        # Numbers, strings and tensors only: a checkpoint runs no code.
        state = dict(torch.load(io.BytesIO(data), weights_only=True))
        found = state["identity"]
    except Exception as error:  # PyTorch has no common one
        raise BadInput(f"{path} holds no training run; delete it to begin again") from error
    if found != identity:
        raise BadInput(
            f"{path} belongs to a run of another network, recipe, seed or data; delete it or name "
            "another output"
        )
    return state
