# make run · make test · make check · make bench

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check bench packages

run: .venv/installed
	@mkdir -p run
	$(BIN)/kamailiod -DD -E -f deploy/kamailio.cfg

test: .venv/tested packages
	$(BIN)/python -m pytest

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

bench: .venv/tested
	$(BIN)/python -m tests.bench

# Debian's sipp, baresip, redis and their kin: what is missing and cannot be installed is skipped
# by the tests, by name.
packages:
	@sh tests/packages.sh

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/tested: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@
