# `make demo` and `make test` need nothing before them but Python 3.11 and make: each sets this machine up first.

PYTHON ?=
WORKERS ?= 2
py := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-monitor bench bench-accuracy test test-full lint format docs clean

help:
	@echo 'make demo       train, quantize, compile, run under emulation and measure a network on real sensor data'
	@echo 'make demo-monitor  the same for a sensor node that raises an alarm for unusual motion'
	@echo 'make bench      measure MLPerf Tiny'"'"'s models and any MODELS="a.tflite b.tflite", write benchmarks/results.md'
	@echo 'make bench-accuracy  its last part alone: accuracy of the networks at 8, 4 and 2 bits'
	@echo 'make test       lint, types and tests (about what continuous integration runs)'
	@echo 'make test-full  the same with the slow tests'
	@echo 'make lint       ruff, ruff format and mypy alone'
	@echo 'make format     let ruff put the sources in order'
	@echo 'make docs       the documents as a site, in build/site (installs mkdocs-material and mkdocstrings first)'
	@echo 'make setup      only what the others do first: Debian packages, .venv, Python packages'
	@echo 'make clean      remove what was built (.venv stays)'
	@echo
	@echo 'PYTHON=/path/to/python3.12 chooses the interpreter, WORKERS=4 the number of test processes.'

setup:
	@PYTHON='$(PYTHON)' bash .ci/setup.sh

demo: setup
	@$(py) -m mcuquant demo

demo-monitor: setup
	@$(py) -m mcuquant demo monitor

bench: setup
	@$(py) -m benchmarks $(MODELS)
	@$(py) -m benchmarks.accuracy

bench-accuracy: setup
	@$(py) -m benchmarks.accuracy

lint: setup
	$(py) -m ruff check .
	$(py) -m ruff format --check .
	$(py) -m mypy

format: setup
	$(py) -m ruff check --fix .
	$(py) -m ruff format .

test: lint
	$(py) -m pytest -n $(WORKERS) -m 'not slow'

# The full tests compile with Clang too: 400 MB, and so not part of the setup of the others.
test-full:
	@MCUQUANT_SETUP_FULL=1 PYTHON='$(PYTHON)' bash .ci/setup.sh
	@$(MAKE) --no-print-directory lint
	$(py) -m pytest -n $(WORKERS)

docs: setup
	$(py) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(py) -m mkdocs build --strict

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mcuquant tests -name __pycache__ -type d -prune -exec rm -rf {} +
