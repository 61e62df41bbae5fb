# Six commands: run, test, check, format, messages, bench. The rest are files that they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes

.PHONY: run test check format messages bench lock
.DEFAULT_GOAL := run

run: $(VENV)/.runtime
	@$(BIN)/portal up --demo

# One process more than there are processors, so that others compute while one waits.
TESTERS = $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))

test: $(VENV)/.dev
	@scripts/test-prerequisites
	@$(BIN)/python -m pytest --numprocesses=$(TESTERS) --maxprocesses=4 --dist=loadscope --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict portal bench tests
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/vulture
	$(EXTRACT) --output-file=$(VENV)/messages.pot portal templates
	$(UPDATE) --input-file=$(VENV)/messages.pot --check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Texts for people: all that stand in the code go into the catalogue of each language. No dates and no lines of files:
# a catalogue changes only where a text does.
CATALOGUES := portal/translations
EXTRACT := $(BIN)/pybabel --quiet extract --mapping-file=babel.cfg --keywords="_l lazy_gettext lazy_ngettext:1,2 Text" \
	--omit-header --no-location --no-wrap --sort-output
UPDATE := $(BIN)/pybabel update --output-dir=$(CATALOGUES) --ignore-pot-creation-date --ignore-obsolete \
	--no-fuzzy-matching --no-wrap

messages: $(VENV)/.dev
	$(EXTRACT) --output-file=$(CATALOGUES)/messages.pot portal templates
	$(UPDATE) --input-file=$(CATALOGUES)/messages.pot
	$(BIN)/pybabel compile --directory=$(CATALOGUES)

bench: $(VENV)/.dev
	@$(BIN)/python -m bench

# The oldest Python that is promised decides: what only it needs must be pinned, too. No addresses in the files.
LOCK := $(BIN)/uv pip compile pyproject.toml --python-version 3.11.0 --generate-hashes --no-annotate --no-header --quiet

lock: $(VENV)/.dev
	@$(LOCK) --extra embedded -o requirements.txt >/dev/null
	@$(LOCK) --all-extras -o requirements-dev.txt >/dev/null

$(VENV)/.python:
	@scripts/make-venv "$(PYTHON)" $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt scripts/portal $(VENV)/.python
	@echo "Installing what Stowage needs into $(VENV) …"
	@$(PIP) -r requirements.txt
	@install -m 755 scripts/portal $(BIN)/portal
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what its tests and checks need into $(VENV) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@
