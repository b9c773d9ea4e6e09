# Everything a newcomer or CI does. Bare `make` prints this list.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-wire differences check bench bench-quick docs docs-serve dev fmt lint format-check types imports lock clean

BIN := .venv/bin
READY := .venv/.complete
#: how many processes run the tests; `make test WORKERS=0` runs them in one
WORKERS ?= 2
#: more options for pytest: `make test PYTEST="-k create"`
PYTEST ?=
#: more options for the comparison: `make differences DIFFERENCES="--only 'flows*'"`
DIFFERENCES ?=
#: more options for the benchmark: `make bench BENCH="--runs 1000000"`
BENCH ?=

help:  ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt scripts/make-venv
	@scripts/make-venv

setup: $(READY)  ## Make .venv with the locked dependencies and .venv/bin/penstock
	@echo "setup: .venv holds the locked dependencies and penstock"

demo: $(READY)  ## Run a flow on real data through a real server and worker
	@echo "demo: a server, a worker and a flow on 16,607 days of S&P 500 prices"
	@$(BIN)/python examples/demo.py

test: $(READY)  ## Run the whole suite on SQLite and PostgreSQL
	@echo "test: the whole suite, on SQLite and PostgreSQL"
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST)

test-fast: $(READY)  ## Run the suite on SQLite only, without the tests of real processes
	@echo "test-fast: SQLite only, without tests/acceptance and tests/wire"
	@PENSTOCK_TEST_DATABASES=sqlite $(BIN)/python -m pytest -n $(WORKERS) \
		--ignore tests/acceptance --ignore tests/wire $(PYTEST)

test-wire: $(READY)  ## Run the unmodified clients of others against our server
	@echo "test-wire: the locked prefect 3 client as real processes (its .wire/ is made once)"
	@$(BIN)/python -m pytest -n $(WORKERS) tests/wire $(PYTEST)

differences: $(READY)  ## Send the same requests to our server and to Prefect's; list what differs
	@echo "differences: two servers, some thousand requests, ten minutes (its .wire/ is made once)"
	@$(BIN)/python -m tests.wire.differences $(DIFFERENCES)

check: format-check lint types test  ## Do exactly what CI does: format, lint, imports, types, tests

fmt: $(READY)  ## Rewrite the code in the house's format, with the fixes ruff is sure of
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format .

format-check: $(READY)
	@echo "format: ruff format"
	@$(BIN)/ruff format --check .

lint: $(READY)  ## Look for mistakes (ruff) and for imports against the floors (import-linter)
	@echo "lint: ruff check, import rules"
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo

types: $(READY)  ## Check the types strictly (mypy)
	@echo "types: mypy --strict"
	@$(BIN)/mypy

bench: $(READY)  ## Measure against the budgets; writes docs/performance.md
	@echo "bench: our figures on SQLite and PostgreSQL beside the budgets"
	@$(BIN)/python -m bench --write $(BENCH)

bench-quick: $(READY)  ## Look in two minutes whether every measurement works; the figures are rough
	@echo "bench-quick: short repetitions, nothing is written"
	@$(BIN)/python -m bench --quick $(BENCH)

docs: $(READY)  ## Build the documentation site into ./site
	@echo "docs: building ./site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs-serve: $(READY)  ## Show the documentation site while you write it
	@echo "docs: http://127.0.0.1:8000"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --quiet --dev-addr 127.0.0.1:8000

dev: $(READY)  ## Serve from ./.dev, restarting when the code changes
	@echo "dev: http://127.0.0.1:4200/docs, data in ./.dev, restarts when src/ changes"
	@PENSTOCK_HOME=$(CURDIR)/.dev $(BIN)/python scripts/serve_and_reload.py

lock: $(READY)  ## Compile constraints.txt again from pyproject.toml
	@echo "lock: compiling constraints.txt"
	@$(BIN)/pip-compile -q --extra dev --extra docs --extra demo --strip-extras --allow-unsafe --upgrade \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate --no-header \
		--output-file constraints.txt pyproject.toml

clean:  ## Remove what was built; keeps .venv
	@echo "clean: caches and build folders"
	@rm -rf build dist site .dev .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	@find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
