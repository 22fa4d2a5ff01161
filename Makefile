# Two commands do everything: `make demo` and `make test`. Both build .venv first, once, and again only when
# pyproject.toml or constraints.txt has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

# One thread a process: the tests run side by side, and a small model gains little from a second thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: help install demo test lint format types tests bench clean

help:
	@echo "make demo    pretrain, RL, distil, sample, compare: runs/demo/report.html, in minutes, nothing downloaded but packages"
	@echo "make test    lint, format check, types, tests"
	@echo "make lint | format | types | tests    one of these alone; format also mends"
	@echo "make bench   the numbers in LOG.md, measured on this machine"
	@echo "make clean   removes what make built (.venv, caches); runs/ stays"

demo: $(INSTALLED)
	$(BIN)/reachlab study demo --out runs/demo

test: lint types tests

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(INSTALLED)
	$(BIN)/mypy

tests: $(INSTALLED)
	$(PYTEST)

bench: $(INSTALLED)
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

install: $(INSTALLED)

# torch comes first, by itself: on Linux the ordinary wheel of the package index brings gigabytes of CUDA libraries.
# Without an NVIDIA GPU we ask pip for the CPU build, which it finds where its configuration names a place that has it; else uv,
# which knows where PyTorch keeps its CPU builds; and only then take the ordinary wheel, which works everywhere.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Reachlab needs Python 3.11 or newer, this is " + sys.version.split()[0] + \
	  "; name another: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), once; this takes a few minutes"
	command -v nvidia-smi >/dev/null \
	  || $(PIP) -c constraints.txt torch==$(TORCH)+cpu 2>/dev/null \
	  || { $(PIP) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend=cpu -c constraints.txt torch==$(TORCH) 2>/dev/null; } \
	  || echo "no CPU build of torch within reach: taking the ordinary one"
	$(PIP) -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
