# Two commands do everything on a machine with Python 3.10 or newer: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHECKED := $(wildcard src tests benchmarks examples paper docs)

.PHONY: demo test lint bench pages clean

demo: .venv/all
	$(BIN)/lossodyssey demo --output demo

test: .venv/test
	$(BIN)/python -m pytest -n auto

lint: .venv/test
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy

pages: .venv/all
	$(BIN)/python docs/generate.py

bench: .venv/test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv demo

# torch goes first and alone: any package that asks for it then finds this one and brings no other.
.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(INSTALL) torch==2.13.0
	touch $@

.venv/%: .venv/torch pyproject.toml
	$(INSTALL) --editable '.[$*]'
	touch $@
