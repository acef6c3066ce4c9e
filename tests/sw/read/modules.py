"""PyTorch modules and the files that they are written to."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from sw.errors import BadInput
from sw.read import read_network


def export(path, module, x, dynamic=False):
    shapes = ({0: torch.export.Dim("batch", max=64)},) if dynamic else None
    torch.export.save(torch.export.export(module, (x,), dynamic_shapes=shapes), path)
    return path


def agree(path, module, x):
    network = read_network(path)
    y = network.predict(x.numpy().reshape(len(x), -1).astype(np.float64))
    with torch.no_grad():
        expected = module(x).numpy().reshape(len(x), -1)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    return network


def prepare(module):
    """Running means and variances that are not 0 and 1, and evaluation mode."""
    torch.manual_seed(3)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module.eval()


def refuse(path, message, architecture=None):
    with pytest.raises(BadInput, match=f"^{path}.*{message}") as raised:
        read_network(path, architecture)
    assert "\n" not in str(raised.value)


def write(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


class Trap:
    """Its unpickling leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))
