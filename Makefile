# Everything a reader, a teacher or CI runs. What Windows needs instead stands in the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
ARGS ?=

.PHONY: help lab check run test refresh format bench hooks setup
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

lab: setup ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab $(firstword $(NOTEBOOKS)) $(ARGS)

check: setup ## say whether this machine is ready for the course, and what to do if it is not
	$(BIN)/python -m helpers.check

run: setup ## execute every notebook, top to bottom, and write nothing
	$(BIN)/jupyter execute $(NOTEBOOKS)

test: setup ## run every test; each notebook is one, with every stored output compared
	$(BIN)/pytest $(ARGS)

refresh: setup ## run every notebook and store its outputs, ready to commit
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False $(NOTEBOOKS)
	$(BIN)/jupyter nbconvert --to notebook --inplace \
		--CoalesceStreamsPreprocessor.enabled=True $(NOTEBOOKS)
	$(BIN)/python tests/readme_figure.py
	$(MAKE) format

format: setup ## lint and format code and notebooks, drop what a notebook need not carry
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/nbstripout --keep-output --keep-count --keep-id \
		--extra-keys "metadata.language_info cell.metadata.execution" $(NOTEBOOKS)

bench: $(VENV)/bench ## measure each notebook, and helpers/checkpoint.py beside its peers
	$(BIN)/python tests/bench.py
	$(BIN)/python tests/bench_checkpoint.py $(ARGS)

hooks: setup ## run `make format` before every commit
	$(BIN)/pre-commit install

setup: $(VENV)/ready ## make .venv and install the pinned dependencies (the others call this)

# torch comes first and alone, at the pin: where the pin is already to be had, nothing else is fetched.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The peers that helpers/checkpoint.py is measured beside; nothing else needs them.
$(VENV)/bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@
