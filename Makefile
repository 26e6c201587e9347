# `make demo`, `make test` and `make paper` from a fresh clone: only git, make and Python are needed.
# Everything is installed into .venv, at the versions and hashes of requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install hooks demo short paper workflow-report draw bench-gpu test coverage lint format docs lock

help:
	@echo "make install  requirements.lock into .venv; all below do it by themselves"
	@echo "make demo     the whole pipeline on scikit-learn's digits: minutes, no GPU, no download -> runs/demo/report/report.html"
	@echo "make short    the real MNIST, 3 epochs, 3 seeds, on the CPU                     -> runs/short/report/report.html"
	@echo "make paper    the paper: 75 cells of 250 epochs; GPUS=2 for two GPUs            -> report/report.html"
	@echo "make draw     tables, figures and report from the results there are, training nothing; OVERLAYS=configs/demo.yaml for another run"
	@echo "make workflow-report   Snakemake's own report of the demo: rules, times, results -> runs/demo/workflow.html"
	@echo "make bench-gpu  on a machine with a GPU and PyTorch, installing nothing: its tests, speeds and profiles, then cells of the paper for MINUTES=10"
	@echo "make test     install and run the tests; FAST=1 leaves out the slow ones, JOBS=4 runs four at a time"
	@echo "make coverage the same, and which lines of src no test reaches"
	@echo "make lint     the checks that CI runs; make format mends what can be mended; make hooks has git run them"
	@echo "make docs     the documentation as a site                                     -> site/index.html"
	@echo "make lock     resolve requirements.lock anew from pyproject.toml"

install: .venv/installed

# What is in .venv names the folder and the Python that it was made for: after a move, in a container, or without that Python nothing in it runs.
ifneq ($(wildcard .venv/installed),)
ifneq ($(shell cat .venv/installed; $(BIN)/python -c '' 2>/dev/null && echo runs),$(CURDIR) runs)
.venv/installed: forget-venv
endif
endif
.PHONY: forget-venv
forget-venv:
	rm -rf .venv

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { \
		echo "Python's venv module is not whole; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf .venv; exit 1; }
	@echo "Installing requirements.lock into .venv: about 5 GB, most of it PyTorch with CUDA; this takes minutes"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo '$(CURDIR)' > $@

demo: install
	$(BIN)/snakemake --configfile configs/demo.yaml
	@echo "Open runs/demo/report/report.html"

short: install
	$(BIN)/snakemake --configfile configs/short.yaml
	@echo "Open runs/short/report/report.html"

GPUS ?= 1
paper: install
	$(BIN)/snakemake --cores all --resources gpu=$(GPUS)

workflow-report: demo
	$(BIN)/snakemake --configfile configs/demo.yaml --report runs/demo/workflow.html

draw: install
	$(BIN)/python -m hal $(addprefix --overlay ,$(OVERLAYS)) draw

# Not `install`: a machine with a card often has the PyTorch that fits it.
MINUTES ?= 10
bench-gpu:
	PYTHONPATH=src $(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/sitting.py --minutes $(MINUTES)

JOBS ?= 2
# A file's tests in one process: what they share is made once.
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(if $(FAST),-m "not slow")
test: install
	$(PYTEST)

coverage: install
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

lint: install
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

# Not `pre-commit install`: the checks' tools are in .venv, which need not be active where somebody commits.
# Nobody's own hook is replaced, and none for all repositories of this user (core.hooksPath).
hooks: HOOK = $(shell git rev-parse --git-path hooks)/pre-commit
hooks: install
	@git rev-parse --git-dir >/dev/null
	@if git config core.hooksPath >/dev/null || { test -e '$(HOOK)' && ! grep -q 'exec pre-commit run' '$(HOOK)'; }; then \
		echo "$(HOOK): hooks of your own are there; let them call: .venv/bin/pre-commit run" >&2; exit 1; fi
	@mkdir -p "$$(dirname '$(HOOK)')"
	@printf '#!/bin/sh\nPATH="$$PWD/$(BIN):$$PATH" exec pre-commit run\n' > '$(HOOK)' && chmod +x '$(HOOK)'

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile
	$(BIN)/python -m hal schema

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lock: install
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --python-version 3.11 \
		--extra dev pyproject.toml -o requirements.lock
