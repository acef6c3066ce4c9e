"""Train, prune and save LeNet-300-100 on MNIST: ``python -m sw.train.lenet300100 --help``.

The network of Deep Compression (Han et al., 2016), pruned gradually by magnitude (Zhu and Gupta,
2017) while it learns from its own dense self (Hinton et al., 2015) on distorted digits (Simard et
al., 2003). Repeatable from its seed: the same machine writes the same file.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import sys
from pathlib import Path

import click
import kmeans1d
import numpy as np
from rich.console import Console
from rich.progress import Progress, TextColumn

from sw.errors import BadInput
from sw.read.idx import read_mnist

# Before torch loads OpenMP: threads that spin while they wait make these short steps several
# times slower as soon as another program wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

__all__ = ["Data", "Net", "Phase", "distort", "error_percent", "share", "train"]

SIZES = (784, 300, 100, 10)
# Density of each layer relative to the whole. The last layer has few weights, each of which
# matters; the first has many blank pixels.
RELATIVE_DENSITY = (0.84, 2.0, 8.5)
HELD_OUT = 5000
BATCH = 256
TEMPERATURE = 3.0
RATE, DECAY = 2e-3, 1e-2  # of AdamW; the rate falls to zero along a cosine
RAMP = 0.6  # part of the epochs in which the density falls
PRUNE_EVERY = 20  # steps
CODEBOOK = 15  # a 4-bit code, one value of which is padding


@dataclasses.dataclass(frozen=True)
class Data:
    """Images (n, 28, 28) uint8 and labels (n,) int64 to train on, and those held out."""

    images: Tensor
    labels: Tensor
    held_images: Tensor
    held_labels: Tensor


@dataclasses.dataclass(frozen=True)
class Net:
    """Weights (outputs, inputs) and biases of the dense layers; ReLU between them."""

    weights: list[Tensor]
    biases: list[Tensor]

    @classmethod
    def random(cls, generator: torch.Generator) -> Net:
        """He et al. (2015) initialisation."""
        pairs = list(zip(SIZES[1:], SIZES[:-1], strict=True))
        return cls(
            [torch.randn(o, i, generator=generator) * math.sqrt(2 / i) for o, i in pairs],
            [torch.zeros(o) for o, _ in pairs],
        )

    def copy(self) -> Net:
        """The same numbers in other memory, without gradients."""
        return Net(
            [w.detach().clone() for w in self.weights], [b.detach().clone() for b in self.biases]
        )

    def logits(self, pixels: Tensor, dropout: float = 0.0) -> Tensor:
        """Outputs (n, 10) for pixels (n, 28, 28), 0 to 255."""
        x = pixels.flatten(1) / 256
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if index:
                x = F.dropout(F.relu(x), dropout, training=dropout > 0)
            x = F.linear(x, weight, bias)
        return x


@dataclasses.dataclass(frozen=True)
class Phase:
    """What differs between the training of the dense and of the pruned network."""

    name: str
    epochs: int
    dropout: float = 0.0
    density: float = 1.0


def density(net: Net) -> float:
    """Share of the weights that are not zero."""
    kept = sum(int((w != 0).sum()) for w in net.weights)
    return kept / sum(int(w.numel()) for w in net.weights)


def error_percent(net: Net, images: Tensor, labels: Tensor) -> float:
    """Percentage of the images for which the largest output is not the label's."""
    with torch.no_grad():
        return float((net.logits(images).argmax(1) != labels).double().mean()) * 100


def share(net: Net, values: int) -> Net:
    """The net with each layer's non-zero weights replaced by the nearest of `values` centroids."""
    shared = net.copy()
    for weight in shared.weights:
        kept = weight != 0
        clusters, centroids = kmeans1d.cluster(weight[kept].tolist(), values)
        weight[kept] = torch.tensor(centroids)[torch.tensor(clusters)]
    return shared


def train(
    net: Net,
    data: Data,
    phase: Phase,
    teacher: Net | None,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train `net` in place, and prune it when the phase says so.

    Parameters
    ----------
    net : changed in place; pruned weights become exactly zero
    data : trained on, and held out for the progress bar; nothing is chosen by the latter
    phase : hyper-parameters
    teacher : its softened outputs are learned beside the labels, if given
    generator : of the order of the images and their distortions
    progress : shows loss, density and held-out error
    """
    parameters = [*net.weights, *net.biases]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, fused=True)
    steps = len(data.images) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, phase.epochs * steps)
    task = progress.add_task(phase.name, total=phase.epochs * steps, info="")
    for epoch in range(phase.epochs):
        order = torch.randperm(len(data.images), generator=generator)
        total = 0.0
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            pixels = distort(data.images[chosen].float(), generator)
            loss = loss_of(net, pixels, data.labels[chosen], teacher, phase.dropout)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if step % PRUNE_EVERY == 0:
                masks = masks_of(net, phase.density, (epoch + step / steps) / phase.epochs)
            with torch.no_grad():
                for weight, mask in zip(net.weights, masks, strict=True):
                    weight.mul_(mask)
            total += float(loss.detach())
            progress.advance(task)
        error = error_percent(net, data.held_images, data.held_labels)
        info = f"loss {total / steps:.4f}  density {density(net):.1%}  held-out error {error:.2f} %"
        progress.update(task, info=info)


def loss_of(
    net: Net, pixels: Tensor, labels: Tensor, teacher: Net | None, dropout: float
) -> Tensor:
    """Cross entropy with the labels, or half of it and half distillation.

    The square keeps its gradient independent of the temperature (Hinton et al., section 2.1).
    """
    logits = net.logits(pixels, dropout)
    if teacher is None:
        return F.cross_entropy(logits, labels, label_smoothing=0.05)
    with torch.no_grad():
        target = F.softmax(teacher.logits(pixels) / TEMPERATURE, 1)
    log_softened = F.log_softmax(logits / TEMPERATURE, 1)
    distilled = F.kl_div(log_softened, target, reduction="batchmean") * TEMPERATURE**2
    return (F.cross_entropy(logits, labels) + distilled) / 2


def masks_of(net: Net, density: float, time: float) -> list[Tensor]:
    """Ones for the largest weights, as many as are left when the part `time` of training is done.

    What is zero is the smallest, so a weight that is pruned once stays pruned.
    """
    to_go = max(0.0, 1 - time / RAMP) ** 3
    masks = []
    for weight, relative in zip(net.weights, RELATIVE_DENSITY, strict=True):
        final = min(1.0, relative * density) if density < 1 else 1.0
        zeros = weight.numel() - int(weight.numel() * (final + (1 - final) * to_go))
        smallest = weight.detach().abs().flatten().argsort()[:zeros]
        masks.append(torch.ones(weight.numel()).index_fill_(0, smallest, 0).view_as(weight))
    return masks


@functools.cache
def displacements() -> Tensor:
    """Fields (28, 28 * 28) that `distort` mixes: x, y, 1 and 25 smooth bumps on a coarse grid."""
    y, x = torch.meshgrid(*2 * [(torch.arange(28) * 2 + 1) / 28 - 1], indexing="ij")
    bumps = torch.eye(25).view(25, 1, 5, 5)
    bumps = F.interpolate(bumps, (28, 28), mode="bicubic", align_corners=True)
    return torch.cat([torch.stack([x, y, torch.ones(28, 28)]), bumps[:, 0]]).flatten(1)


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, turn, scale, shear and bend images (n, 28, 28), each in its own way."""
    mix = torch.randn(len(images), 2, 28, generator=generator)
    mix *= torch.tensor([0.07, 0.07, 0.04] + 25 * [0.035])
    mix[:, :, :2] += torch.eye(2)
    grid = (mix.view(-1, 28) @ displacements()).view(-1, 2, 28, 28).permute(0, 2, 3, 1)
    return F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]


def load(folder: Path) -> Data:
    """The training images of MNIST, 5,000 of them held out."""
    images, labels = (torch.from_numpy(array) for array in read_mnist(folder, "train"))
    if len(images) < HELD_OUT + BATCH:
        raise BadInput(f"{folder}: {len(images)} training images; {HELD_OUT + BATCH} are needed")
    # Not by --seed: what was chosen on held-out images must not be trained on by another seed.
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order].long()
    cut = len(images) - HELD_OUT
    return Data(images[:cut], labels[:cut], images[cut:], labels[cut:])


def report(net: Net, data: Data, test: list[Tensor], console: Console) -> None:
    """Print densities and errors; the test images and labels are used only here."""
    for index, weight in enumerate(net.weights, 1):
        kept = int((weight != 0).sum())
        console.print(f"ip{index}: {kept} of {weight.numel()} weights, {kept / weight.numel():.2%}")
    console.print(f"density {density(net):.2%}")
    for name, one in (("float", net), (f"{CODEBOOK} values a layer", share(net, CODEBOOK))):
        held = error_percent(one, data.held_images, data.held_labels)
        tested = error_percent(one, *test)
        console.print(f"{name}: held-out error {held:.2f} %, test error {tested:.2f} %")


def save(net: Net, path: Path) -> None:
    """Write float32 arrays ip1_w, ip1_b ... to an .npz file."""
    arrays = {}
    for index, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True), 1):
        arrays[f"ip{index}_w"] = weight.detach().numpy()
        arrays[f"ip{index}_b"] = bias.detach().numpy()
    np.savez(path, allow_pickle=False, **arrays)


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of MNIST.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Network to write.")
@click.option("--seed", default=1, show_default=True)
@click.option("--density", default=0.05, show_default=True, type=click.FloatRange(0.002, 1))
@click.option(
    "--epochs", default=60, show_default=True, type=click.IntRange(1), help="With pruning."
)
@click.option(
    "--dense-epochs", default=30, show_default=True, type=click.IntRange(1), help="Before."
)
def main(data: Path, out: Path, seed: int, density: float, epochs: int, dense_epochs: int) -> None:
    """Train LeNet-300-100 on MNIST, prune it to DENSITY and write it as an .npz network."""
    console = Console(stderr=True)
    try:
        if out.suffix != ".npz" or not out.parent.is_dir():
            raise BadInput(f"{out}: must be an .npz file in a folder that exists")
        digits = load(data)
        test = [torch.from_numpy(array) for array in read_mnist(data, "test")]
        torch.set_num_threads(2)
        torch.manual_seed(seed)  # dropout takes no generator
        generator = torch.Generator().manual_seed(seed)
        net = Net.random(generator)
        dense = Phase("dense", dense_epochs, dropout=0.1)
        pruned = Phase("pruned", epochs, density=density)
        columns = [*Progress.get_default_columns(), TextColumn("{task.fields[info]}")]
        with Progress(*columns, console=console) as progress:
            train(net, digits, dense, None, generator, progress)
            train(net, digits, pruned, net.copy(), generator, progress)
        save(net, out)
        report(net, digits, test, console)
    except BadInput as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
