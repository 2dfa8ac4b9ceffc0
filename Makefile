# Everything a developer runs; `make help` lists it.
# PYTHON is the Python that makes the virtual environment: `make test PYTHON=/path/to/python3.12`.

.DEFAULT_GOAL := help
.PHONY: help search test check format bench clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# tests at once; those of one file stay together, for what they share is made once a file
WORKERS ?= 2
INSTALLED := .venv/.installed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# $(call old,PYTHON): its version where it is older than 3.11, `missing` where it doesn't start.
old = $(shell '$(1)' -c 'import sys; v = sys.version_info; print("" if v >= (3, 11) else "%d.%d" % v[:2])' 2>/dev/null || echo missing)

$(INSTALLED): pyproject.toml constraints.txt
	$(if $(call old,$(PYTHON)),$(error archspec needs Python 3.11 or newer, but PYTHON=$(PYTHON) is $(call old,$(PYTHON)); try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)))
	@echo "Installing into .venv: a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

search: $(INSTALLED) ## search the default space at 4.5 GFLOPs
	$(BIN)/archspec search --budget 4.5GFLOPs

test: $(INSTALLED) ## run the tests, save those marked browser, gpu or slow
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

check: $(INSTALLED) ## format, lint, types and floors, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## format and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# those that need data or a GPU are commands of their own: benchmarks/README.md
APART := exam gpu hypervolume regret
bench: $(INSTALLED) ## measure again what docs/ claims
	@set -e; for file in $(sort $(filter-out $(APART:%=benchmarks/%.py),$(wildcard benchmarks/*.py))); do echo "== $$file"; $(BIN)/python "$$file"; done

clean: ## remove caches and builds; .venv and runs/ stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
