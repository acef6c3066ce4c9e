"""The options by which `thresher sim` shows what happens inside the engine, and their files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from hw.boards import Board
from hw.config import AcceleratorConfig
from sim import utilisation
from sim.simulate import EngineOptions, Simulation
from sw import format as thr
from sw.compressed import CompressedNetwork
from sw.errors import BadInput
from sw.image import Image

from .output import check_output, console

__all__ = ["Wanted", "observing_options"]

_NANOSECONDS = 10  # of a cycle in the waves


def observing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --waves, --heatmap and --html."""
    path = click.Path(path_type=Path)
    options = (
        click.option(
            "--waves",
            metavar="W.fst",
            type=path,
            help="Write every signal in every cycle, and W.gtkw, which shows those that matter.",
        ),
        click.option(
            "--heatmap",
            metavar="F.png",
            type=path,
            help="Draw how busy each element is over time.",
        ),
        click.option(
            "--html",
            metavar="F.html",
            type=path,
            help="Write that picture and each layer's figures as a page that needs nothing else.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The files that the options name, and the board whose engine they show, if it is one's."""

    board: Board | None = None
    waves: Path | None = None
    heatmap: Path | None = None
    html: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that will be written."""
        save = None if self.waves is None else self.waves.with_suffix(".gtkw")
        return [path for path in (self.waves, save, self.heatmap, self.html) if path is not None]

    def check(self, target: str, *others: Path | None) -> None:
        """Refuse, before any work is done, what cannot be written.

        Parameters
        ----------
        others : files that are read or written beside these

        Raises
        ------
        BadInput
            Naming the file.
        """
        if self.files and target != "verilator":
            raise BadInput(
                f"{self.files[0]} shows the engine, which --target {target} does not simulate: "
                "leave --target out"
            )
        if self.waves is not None and self.waves.suffix != ".fst":
            raise BadInput(f"{self.waves} is not a name for waves: they are FST, so end it in .fst")
        if self.heatmap is not None:
            from sw.plots import check_png  # matplotlib takes long to import

            check_png(self.heatmap)
        for place, path in enumerate(self.files):
            check_output(path, *others)
            if path in self.files[:place]:
                raise BadInput(f"{path} would be written twice: name different files")

    @contextlib.contextmanager
    def engine(self, config: AcceleratorConfig | None) -> Iterator[EngineOptions]:
        """How the engine is simulated; waves have their name when the block has ended well."""
        if config is None or not self.files:
            yield EngineOptions(self.board)
        elif self.waves is None:
            yield EngineOptions(self.board, utilisation.observed(config))
        else:
            target = Path(os.path.realpath(self.waves))
            scratch = target.with_name(f".thresher-{secrets.token_hex(8)}.fst")
            try:
                yield EngineOptions(self.board, utilisation.observed(config, scratch))
                _move(scratch, target)
            finally:
                scratch.unlink(missing_ok=True)

    def write(
        self, model: Path, network: CompressedNetwork, image: Image, result: Simulation
    ) -> None:
        """Write all but the waves themselves, and say what was written."""
        used = result.utilisation
        if used is None:
            return
        if self.waves is not None:
            from sim.engine import engine_verilog
            from sim.waves import save_file

            start, save = _NANOSECONDS * used.began, self.waves.with_suffix(".gtkw")
            verilog = engine_verilog(image.config, self.board)
            text = save_file(self.waves, image.config, verilog, start)
            thr.write_file(save, text.encode())
            size = self.waves.stat().st_size
            console().print(f"wrote {self.waves}, {size:,} bytes: gtkwave {self.waves} {save}")
        if self.heatmap is None and self.html is None:
            return
        from sw.plots import write_png
        from sw.report.busy import Run, figure, render

        names = [layer.name for layer in network.layers]
        grid = image.config.lanes, image.config.groups
        run = Run(used, names, image.steps, *grid)
        if self.heatmap is not None:
            write_png(self.heatmap, figure(run))
            console().print(f"wrote {self.heatmap}")
        if self.html is not None:
            page = render(run, model.name, result.report(None))
            thr.write_file(self.html, page.encode("utf-8", "replace"))
            console().print(f"wrote {self.html}")


def _move(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from error
