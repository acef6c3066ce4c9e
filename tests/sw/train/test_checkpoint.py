"""Checkpoints: whole, of the same run, or refused."""

from __future__ import annotations

import hashlib
import io
import pickle

import numpy as np
import pytest
import torch

from sw.errors import BadInput
from sw.train.checkpoint import Checkpoint

STATE = {"stage": "prune", "step": 3, "order": torch.arange(5), "optimizer": {"state": {}}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.thr.checkpoint"


@pytest.fixture
def kept(path):
    Checkpoint(path, "abc").save(STATE)
    return path


def sealed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest() + data


def test_what_is_saved_is_taken_once_by_its_stage(kept):
    checkpoint = Checkpoint(kept, "abc", resume=True)
    assert checkpoint.holds("prune")
    assert not checkpoint.holds("share")
    assert checkpoint.take("share") is None
    state = checkpoint.take("prune")
    assert state["step"] == 3
    assert torch.equal(state["order"], torch.arange(5))
    assert checkpoint.take("prune") is None
    assert not checkpoint.holds("prune")


def test_the_last_state_counts(kept):
    Checkpoint(kept, "abc").save(STATE | {"step": 4})
    assert Checkpoint(kept, "abc", resume=True).take("prune")["step"] == 4
    assert list(kept.parent.iterdir()) == [kept]


def test_without_resuming_nothing_is_read(path):
    path.write_bytes(b"anything")
    assert not Checkpoint(path, "abc").holds("prune")


def test_without_a_path_nothing_is_kept():
    checkpoint = Checkpoint(None, "abc", resume=True)
    checkpoint.save(STATE)
    assert not checkpoint.holds("prune")
    checkpoint.remove()


def test_it_is_removed(kept):
    checkpoint = Checkpoint(kept, "abc")
    checkpoint.remove()
    assert not kept.exists()
    checkpoint.remove()


def test_nothing_to_resume(path):
    with pytest.raises(BadInput, match="checkpoint: there is no stopped run to resume"):
        Checkpoint(path, "abc", resume=True)


def test_of_another_run(kept):
    with pytest.raises(BadInput, match="belongs to a run of another network, recipe, seed or data"):
        Checkpoint(kept, "abd", resume=True)
    assert kept.exists()


def test_every_damage_is_seen(kept):
    data = kept.read_bytes()
    rng = np.random.default_rng(1)
    damaged = [b"", data[:10], data[:-1], data + b"\0", b"\x80\x04." * 20]
    for place in [0, 31, 32, len(data) - 1, *rng.integers(0, len(data), 50)]:
        damaged.append(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
    for each in damaged:
        kept.write_bytes(each)
        with pytest.raises(BadInput, match="checkpoint is damaged or no checkpoint"):
            Checkpoint(kept, "abc", resume=True)


class _Call:
    def __reduce__(self):
        return (print, ("code was run",))


def saved(what) -> bytes:
    file = io.BytesIO()
    torch.save(what, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        pickle.dumps({"identity": "abc"}),
        pickle.dumps(_Call()),
        saved([1, 2]),
        saved({"stage": "prune"}),
        saved({"identity": "abc", "stage": _Call()}),
    ],
)
def test_what_is_sealed_but_no_run_is_refused_and_runs_no_code(path, data, capsys):
    path.write_bytes(sealed(data))
    with pytest.raises(BadInput, match=r"holds no training run; delete it to begin again$"):
        Checkpoint(path, "abc", resume=True)
    assert capsys.readouterr().out == ""
