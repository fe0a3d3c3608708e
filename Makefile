# make help lists the targets. Settings, each on the command line or in the environment:
#   PYTHON=python3.11   the python that makes the virtual environment
#   VENV=DIR            where it is; one that exists is installed into, keeping its torch
#   MMKD_CACHE=DIR      where the built mmcv wheel is kept (default ~/.cache/mmkd_ext)
#   EXTRAS=pretrained   what more `make setup` installs: a file of requirements/
#   ARGS='...'          passed on to the program of the target
#   JOBS=2              processes that run tests, by default one a core

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
ARGS ?=
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)  # nproc obeys that variable
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all coverage lint format types docs bench doctor clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup:  ## .venv with the pinned stack; builds mmcv once per machine
	@$(PYTHON) tools/bootstrap.py --venv '$(VENV)' $(addprefix --extra ,$(EXTRAS)) $(if $(filter setup,$(MAKECMDGOALS)),$(ARGS))

demo: setup  ## teacher, student alone, student distilled on toy streets: table and report
	@$(BIN)/python benchmarks/demo.py $(ARGS)

test: setup  ## the default tests: no GPU, nothing slow
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-all: setup  ## every test that this machine can run
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '' $(ARGS)

coverage: setup  ## the default tests, with a table of what they miss
	@$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: setup  ## ruff and codespell
	@$(BIN)/ruff check .
	@$(BIN)/codespell

format: setup  ## lets ruff fix what it can
	@$(BIN)/ruff check --fix .

types: setup  ## mypy
	@$(BIN)/mypy

docs:  ## the pages, in docs/_build/html; warnings are errors
	@$(PYTHON) tools/bootstrap.py --venv '$(VENV)' --extra docs
	@$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html $(ARGS)

bench: setup  ## time and memory of a step, of each method, of losses and adaptation
	@$(BIN)/python benchmarks/bench_step.py $(ARGS)
	@$(BIN)/python benchmarks/bench_methods.py $(ARGS)
	@$(BIN)/python benchmarks/bench_methods.py --task mmseg $(ARGS)
	@$(BIN)/python benchmarks/bench_boxes.py $(ARGS)
	@$(BIN)/python benchmarks/bench_losses.py $(ARGS)
	@$(BIN)/python benchmarks/bench_affinity.py $(ARGS)
	@$(BIN)/python benchmarks/bench_relations.py $(ARGS)
	@$(BIN)/python benchmarks/bench_layers.py $(ARGS)
	@$(BIN)/python benchmarks/bench_adapt.py $(ARGS)

doctor: setup  ## every part of the stack: found, needed, verdict
	@$(BIN)/python tools/doctor.py $(ARGS)

clean:  ## removes what was built and cached here; not .venv, data or work_dirs
	@rm -rf build dist *.egg-info docs/_build docs/_generated htmlcov .coverage \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis mmkd_ext/.mim/__pycache__
	@find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
