"""`python -m sw.cli` is `thresher`."""

from . import main

main(prog_name="thresher")
