# make run · make test · make check · make bench

# Debian's python3 is built with all optimisations, which others found first in PATH often are not.
PYTHON ?= $(firstword $(shell for python in /usr/bin/python3 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python; done) python3-at-least-3.11-with-venv-is-missing)
BIN := .venv/bin
SOURCES := $(shell find shm lua workers kamailiod -name '*.py' -o -name '*.lua' -o -name '*.lark')
# Python on the installed packages, with the compiled kernel, instead of on this folder's sources.
INSTALLED = PYTHONSAFEPATH=1 \
	PYTHONPATH=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'):. \
	$(BIN)/python

.PHONY: run test test-compiled check bench packages

run: .venv/installed
	@mkdir -p run
	$(BIN)/kamailiod -DD -E -f deploy/kamailio.cfg

# In process on the sources, end to end on the installed server; then in process on the kernel.
test: .venv/tested packages
	$(BIN)/python -m pytest
	@! $(BIN)/kamailiod -v | grep -q compiled || $(MAKE) --no-print-directory test-compiled

test-compiled: .venv/tested
	$(INSTALLED) -m pytest tests/shm tests/lua tests/workers tests/kamailiod

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

bench: .venv/tested
	$(INSTALLED) -m tests.bench

# Debian's sipp, baresip, redis and their kin: what is missing and cannot be installed is skipped
# by the tests, by name.
packages:
	@sh tests/packages.sh

# KAMAILIOD_PURE=1 leaves the kernel uncompiled; why it is, for other reasons too, pip's log tells.
.venv/installed: setup.cfg setup.py pyproject.toml $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@rm -rf build .venv/build.log
	$(BIN)/pip install --quiet --progress-bar off --log .venv/build.log .
	@grep -o 'kamailiod is built in pure Python: .*' .venv/build.log | sort -u
	@touch $@

# The tests' requirements are those of the package just installed, which this leaves as it is.
.venv/tested: .venv/installed
	$(BIN)/pip install --quiet 'kamailiod[test]'
	@touch $@
