# The commands of this project. `make` alone lists them. Needs Python 3.11 or newer, make and a package registry.

# PYTHON=...    the interpreter to build .venv with (default: the first of 3.11 or newer that is found)
# PIP_ARGS=...  extra arguments for every pip install, such as another index to take torch from
# ARGS=...      extra arguments for the command that a target runs
PIP_ARGS ?=
ARGS ?=
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(PIP_ARGS) -c constraints.txt

export HF_HUB_DISABLE_TELEMETRY = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help demo test quick lint fix docs results clean
.DEFAULT_GOAL := help

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: .venv/.run ## the main job, end to end on real data
	$(BIN)/tastemaker demo $(ARGS)

test: lint .venv/.browser ## everything that must hold: lint, types, all tests
	$(BIN)/python -m pytest -n auto -m "not timing" $(ARGS)
	$(BIN)/python -m pytest -m timing # times the engine, so nothing runs beside it

quick: .venv/.dev ## the tests of a minute or two
	$(BIN)/python -m pytest -n auto -m "not slow and not timing" $(ARGS)

lint: .venv/.dev ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/mypy

fix: .venv/.dev ## what ruff can put right by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/.docs ## the documentation, as HTML in docs/_build
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build $(ARGS)
	@echo docs/_build/index.html

results: .venv/.run ## measure every claim in results/ anew (hours; wants TASTEMAKER_DATA)
	$(BIN)/python -m benchmarks.claims $(ARGS)

clean: ## remove what the other commands built
	rm -rf .venv docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Each stamp is newer than what it was built from, so a second call does nothing.
.venv/.run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; install one or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
		{ echo "Python cannot make environments here; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PIP) -e '.[search,serve]'
	@touch $@

.venv/.dev: .venv/.run
	$(PIP) -e '.[dev]'
	@touch $@

# A browser for the tests of the page, where one may be installed; elsewhere they are skipped and say what they want.
.venv/.browser: .venv/.dev
	@command -v chromium >/dev/null || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
		>/dev/null 2>&1 || true
	@touch $@

.venv/.docs: .venv/.run
	$(PIP) -e '.[docs]'
	@touch $@
