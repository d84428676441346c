# All commands for readers, teachers and CI. Windows has no make: see the README.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
EXERCISES := $(sort $(wildcard notebooks/exercises/source/*/*.ipynb))
PORT ?= 8000
ARGS ?=

.PHONY: help lab check run test refresh new exercises grade slides wheelhouse format bench hooks setup \
	setup-site setup-bench site serve test-browser chromium
.DEFAULT_GOAL := help

# The command as it was given, for messages.
COMMAND = make $(MAKECMDGOALS)
INSTALL = tools/install.py $(VENV) --make "$(COMMAND)"

# $(call start,PYTHON,PROGRAM) runs a program with a Python that may be missing. The shell reports
# that with status 127. Any other Python can then say what to do.
define start
@$(1) $(2); status=$$?; [ $$status -eq 127 ] || exit $$status; \
for other in $(BIN)/python $$(sed -n 's/.*"Programming Language :: Python :: \(.*\)".*/python\1/p' \
		pyproject.toml) python3 python; do \
	if $$other -c "" 2>/dev/null; then exec $$other $(INSTALL) $(REQUESTED) --not-found "$(1)"; fi; \
done; \
echo "Python was not found. Install it from https://www.python.org/downloads/" \
	"or with your package manager." >&2; exit 1
endef
# Only a Python that was named by the user replaces the one of a ready environment.
REQUESTED = $(if $(filter-out file,$(origin PYTHON)),--requested "$(PYTHON)")

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

lab: setup ## copy the notebooks to mine/, your folder, and open them in JupyterLab
	$(BIN)/python tools/start_lab.py $(ARGS)

# Before the setup, PYTHON checks whether the setup can succeed.
check: ## say whether this machine is ready for the course, and what to do if it is not
	$(call start,$(if $(wildcard $(VENV)/ready),$(or $(wildcard $(BIN)/python),$(PYTHON)),$(PYTHON)),\
		tools/check_machine.py $(VENV) $(REQUESTED))

run: setup ## execute every notebook, top to bottom, and write nothing
	@$(BIN)/python tools/refresh.py --dry-run $(NOTEBOOKS)

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

new: setup ## begin a notebook: NOTEBOOK=20_quantize
	$(BIN)/python tools/new_notebook.py "$(NOTEBOOK)"

slides: docs/node_modules setup ## make a deck of slides from each notebook (needs npm)
	$(BIN)/python tools/make_slides.py

site: setup-site ## make the web site of the course
	$(BIN)/python tools/make_site.py

serve: setup-site ## make the web site and show it on PORT=8000
	@$(BIN)/python tools/serve.py $(PORT)

test-browser: chromium docs/node_modules site slides ## test the site, the slides and JupyterLab in Chromium (needs npm)
	$(BIN)/pytest tests/browser --dist worksteal $(ARGS)

# setuptools builds the course's own package, also where there is no network.
wheelhouse: setup ## collect every package, for machines without network (see TEACHING.md)
	$(BIN)/python -m pip download --dest wheelhouse --constraint constraints.txt torch
	$(BIN)/python -m pip download --dest wheelhouse --constraint constraints.txt \
		'.[dev]' 'setuptools>=77'

format: setup ## lint, format and type-check, and drop what a notebook need not carry
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	$(BIN)/nbstripout --keep-output --keep-count --keep-id \
		--extra-keys "metadata.language_info cell.metadata.execution" $(NOTEBOOKS)
	$(BIN)/nbstripout --keep-id --extra-keys metadata.language_info $(EXERCISES)

bench: setup-bench ## measure notebooks, tests, and helpers/checkpoint.py beside its peers
	$(BIN)/python tools/bench.py $(ARGS)
	$(BIN)/python tools/bench_checkpoint.py $(ARGS)

hooks: setup ## run `make format` before every commit
	$(BIN)/pre-commit install

setup: ## make .venv and install the pinned dependencies (the others call this)
	$(call start,$(PYTHON),$(INSTALL) $(REQUESTED))

# `site` is for the web site, and contains Playwright, which opens it in a browser. `bench` has the
# libraries that helpers/checkpoint.py is compared with.
setup-site setup-bench: setup
	@$(BIN)/python $(INSTALL) --extra $(@:setup-%=%)

docs/node_modules: docs/package.json
	@command -v npm >/dev/null || { echo "npm was not found. Install Node.js from https://nodejs.org" \
		"or with your package manager, and then run \`$(COMMAND)\` again." >&2; exit 1; }
	npm install --silent --no-audit --no-fund --no-package-lock --prefix docs
	@touch $@

# Reports a missing browser before the site and the slides are built.
chromium: setup
	@$(BIN)/python tests/support/chromium.py
