"""`python -m sw.cli` is `thresher`."""

from sw.entry import main

main()
