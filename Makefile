# make demo, make test: all that a newcomer needs. The rest is `thresher --help`.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test lint mutants soak bench network clean

demo: $(STAMP)
	$(PYTHON) -m sw.cli demo

test: lint
	@$(PYTHON) -c 'import find_libpython as f, sys; sys.exit(f.find_libpython() is None)' || \
	  { echo "make: the benches load Python as a library: apt install libpython3-dev" >&2; exit 2; }
	$(PYTHON) -m pytest -q -n 2 --dist worksteal --durations=10

lint: $(STAMP)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

# Proof that the tests can fail: breaks the hardware in many small ways, each of which must be seen.
mutants: $(STAMP)
	$(PYTHON) -m tests.mutations.run

# Engines of random shape, each compiled anew.
soak: $(STAMP)
	$(PYTHON) -m tests.soak --minutes 30

bench: $(STAMP)
	$(PYTHON) -m sw.cli bench sim

# The shipped network, from MNIST's IDX files in DATA.
network: $(STAMP)
	$(PYTHON) -m pip install -q -c constraints.txt -e '.[train]'
	$(PYTHON) -m sw.train.lenet300100 --data $(DATA) --out build/lenet300100.npz
	$(PYTHON) -m sw.cli compress build/lenet300100.npz -o sw/networks/lenet300100.thr

$(STAMP): pyproject.toml constraints.txt
	@for tool in g++ perl; do command -v $$tool >/dev/null || \
	  { echo "make: $$tool is missing, and the simulator is built with it: apt install $$tool" >&2; exit 2; }; done
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: python3 is older than 3.11, the oldest that works" >&2; exit 2; }
	@python3 -m venv $(VENV) || \
	  { echo "make: python3 cannot make a virtual environment: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[sim,synth,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build/*
