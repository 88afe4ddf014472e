# Needs python3 (3.11 or newer) and make. Everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 8

.PHONY: venv run test test-slow test-long test-oldest test-elsewhere mutants check docs picture bench clean

venv: .venv/installed ## install everything into .venv

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet -c constraints.txt --editable ".[tables,train,sign,serve,ray]" --group dev
	touch $@

run: venv ## train on the built-in orchard table, publish a package, predict from it
	$(BIN)/train-and-export
	$(BIN)/gradline predict artifacts/orchard examples/orchard.csv

test: venv ## the fast suite
	$(PYTEST) --dist worksteal -m "not slow and not long"

test-slow: venv ## tests that need servers, browsers, clusters or fresh virtual environments
	$(PYTEST) --dist loadfile -m "slow and not long"

test-long: venv ## tests that take more than a minute each
	$(PYTEST) --dist loadfile -m long

mutants: export PATH := $(CURDIR)/$(BIN):$(PATH)
mutants: venv ## change one module, one line at a time, and list the changes that its tests miss
	$(BIN)/pip install --quiet -c constraints.txt --group mutants
	rm -rf .cache/mutants
	mkdir -p .cache/mutants/artifacts
	cp -R runtime tests pyproject.toml .cache/mutants
	cp -R artifacts/orchard .cache/mutants/artifacts
	cd .cache/mutants && cosmic-ray init tests/mutants.toml found.sqlite
	cd .cache/mutants && PYTHONPATH=runtime cosmic-ray exec tests/mutants.toml found.sqlite
	cd .cache/mutants && cr-report --show-diff --surviving-only found.sqlite

test-oldest: ## tests with the oldest versions that pyproject.toml allows, in their own environment
	PYTHON=$(PYTHON) .ci/oldest

test-elsewhere: venv ## numeric tests as on other CPUs; some as another user, in a folder with an odd name
	.ci/elsewhere
	.ci/as-nobody

check: venv ## lint, format, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv ## regenerate docs/commands.md from the commands' help
	$(BIN)/python docs/commands.py

picture: venv ## draw docs/report.png and docs/page.png again; needs Chromium
	$(BIN)/python docs/picture.py

bench: venv ## measure speed beside the peers, and write the tables of README and docs/benchmarks.md
	$(BIN)/pip install --quiet -c constraints.txt --group bench
	$(BIN)/python -m benchmarks

clean: ## remove what the other targets made
	rm -rf .venv .cache dist
