# Everything runs in .venv, which `make` builds with plain pip and rebuilds when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop

.PHONY: demo test test-slow check bench clean

demo: $(INSTALLED)  ## Find the critical noise scale on real data, and write the report
	$(BIN)/sweeper run digits --scale cpu

test: $(DEVELOP)  ## The default tests, a quarter of an hour on two cores
	$(BIN)/pytest

test-slow: $(DEVELOP)  ## Everything else: many kills, many seeds, browsers
	$(BIN)/pytest -m slow --timeout 3600

check: $(DEVELOP)  ## What CI checks besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEVELOP)  ## Ratios against the plain script a user would write; prints the tables of benchmarks/README.md
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sweeper needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(DEVELOP): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(INSTALLED)
