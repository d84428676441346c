# Everything a reader, a teacher or CI runs. What Windows needs instead stands in the README.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
EXERCISES := $(sort $(wildcard notebooks/exercises/source/*/*.ipynb))
PORT ?= 8000
ARGS ?=

.PHONY: help lab check run test refresh new exercises grade slides wheelhouse format bench hooks setup \
	site serve test-browser
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

lab: setup ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab $(firstword $(NOTEBOOKS)) $(ARGS)

check: setup ## say whether this machine is ready for the course, and what to do if it is not
	$(BIN)/python tools/check_machine.py

run: setup ## execute every notebook, top to bottom, and write nothing
	$(BIN)/jupyter execute $(NOTEBOOKS)

test: setup ## run every test; each notebook is one, with every stored output compared
	$(BIN)/pytest $(ARGS)

refresh: setup ## run every notebook and store its outputs, with the day and the versions
	$(BIN)/python tools/refresh.py $(NOTEBOOKS)
	$(BIN)/python tools/readme.py
	$(MAKE) format

exercises: setup ## write the students' version of the exercises, from their source
	$(BIN)/python tools/make_exercises.py

grade: setup ## grade the exercises in SUBMISSIONS=folder, with a folder for each student in it
	$(BIN)/python tools/grade.py "$(SUBMISSIONS)" $(ARGS)

new: setup ## begin a notebook: NOTEBOOK=15_quantize
	$(BIN)/python tools/new_notebook.py "$(NOTEBOOK)"

slides: setup docs/node_modules ## make a deck of slides from each notebook (needs npm)
	$(BIN)/python tools/make_slides.py

site: $(VENV)/site ## make the web site of the course
	$(BIN)/python tools/make_site.py

serve: site ## make the web site and show it
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory docs/build/site $(PORT)

test-browser: site slides ## test the site, the slides and JupyterLab in Chromium (needs npm)
	$(BIN)/pytest tests/browser --dist worksteal $(ARGS)

# setuptools builds the course's own package, also where there is no network.
wheelhouse: setup ## collect every package, for machines without network (see TEACHING.md)
	$(BIN)/python -m pip download --quiet --dest wheelhouse --constraint constraints.txt torch
	$(BIN)/python -m pip download --quiet --dest wheelhouse --constraint constraints.txt \
		'.[dev]' 'setuptools>=77'

format: setup ## lint, format and type-check, and drop what a notebook need not carry
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	$(BIN)/nbstripout --keep-output --keep-count --keep-id \
		--extra-keys "metadata.language_info cell.metadata.execution" $(NOTEBOOKS)
	$(BIN)/nbstripout --keep-id --extra-keys metadata.language_info $(EXERCISES)

bench: $(VENV)/bench ## measure notebooks, tests, and helpers/checkpoint.py beside its peers
	$(BIN)/python tools/bench.py $(ARGS)
	$(BIN)/python tools/bench_checkpoint.py $(ARGS)

hooks: setup ## run `make format` before every commit
	$(BIN)/pre-commit install

setup: $(VENV)/ready ## make .venv and install the pinned dependencies (the others call this)

# A new pip is faster than an old one. torch comes first and alone, at the pin: where the pin is
# already to be had, nothing else is fetched.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) pip
	$(INSTALL) torch
	$(INSTALL) --editable '.[dev]'
	@touch $@

# What makes the web site, and Playwright, which looks at it in a browser.
$(VENV)/site: $(VENV)/ready
	$(INSTALL) --editable '.[site]'
	@touch $@

docs/node_modules: docs/package.json
	npm install --silent --no-audit --no-fund --no-package-lock --prefix docs
	@touch $@

# The peers that helpers/checkpoint.py is measured beside; nothing else needs them.
$(VENV)/bench: $(VENV)/ready
	$(INSTALL) --editable '.[bench]'
	@touch $@
