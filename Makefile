# `make train` and `make test` are all that a fresh machine needs; both set up what they use in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= outputs
SEED := $(or $(SEED),$(shell date +%s))
CASES ?= 5000
SLOW ?= slow

.PHONY: help install train test test-slow fuzz lint docs docs-check gallery bench tensorboard clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

install: $(VENV)/installed ## a virtual environment in .venv with ganlab and its tools

train: install ## the default job: a conditional GAN on real handwritten digits, about a minute on a CPU
	$(BIN)/python -m ganlab

test: install ## the tests, on all cores
	$(BIN)/python -m pytest -n auto

test-slow: install ## statistical checks and long runs
	$(BIN)/python -m pytest -n auto -m "$(SLOW)"

fuzz: install ## anything as input: 5,000 command lines, damaged checkpoints and image files; SEED=… repeats a run
	@echo seed $(SEED)
	GANLAB_FUZZ=$(CASES) GANLAB_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -n auto -m 'slow or not slow' tests/fuzz

lint: install ## ruff (lint and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install ## the pages in docs/ as a site: build/docs/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-check: docs ## every command, link and gallery number in README.md and docs/
	$(BIN)/python scripts/docs_check.py

gallery: install ## every family over three seeds, into docs/gallery.md; hours, and goes on where it stopped
	$(BIN)/python benchmarks/gallery.py

bench: install ## speed against a plain PyTorch loop, and quality over seeds
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/quality.py

tensorboard: install ## watch the runs: http://localhost:6006
	$(BIN)/tensorboard --host 127.0.0.1 --logdir $(RUN)

clean: ## remove what was built (outputs/ and data/ stay)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
