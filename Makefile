# Everything needs python3 (3.11 or newer) and make; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 8

.PHONY: venv run test test-slow test-long test-oldest test-elsewhere mutants check docs bench clean

venv: .venv/installed

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

test-slow: venv ## what needs servers, browsers, clusters or fresh virtual environments
	$(PYTEST) --dist loadfile -m "slow and not long"

test-long: venv ## what takes more than a minute each
	$(PYTEST) --dist loadfile -m long

mutants: export PATH := $(CURDIR)/$(BIN):$(PATH)
mutants: venv ## put faults into one module, one at a time: which do its tests not notice?
	$(BIN)/pip install --quiet -c constraints.txt --group mutants
	rm -rf .cache/mutants
	mkdir -p .cache/mutants/artifacts
	cp -R runtime tests pyproject.toml .cache/mutants
	cp -R artifacts/orchard .cache/mutants/artifacts
	cd .cache/mutants && cosmic-ray init tests/mutants.toml found.sqlite
	cd .cache/mutants && PYTHONPATH=runtime cosmic-ray exec tests/mutants.toml found.sqlite
	cd .cache/mutants && cr-report --show-diff --surviving-only found.sqlite

test-oldest: ## the oldest versions that pyproject.toml allows, in a virtual environment of their own
	PYTHON=$(PYTHON) .ci/oldest

test-elsewhere: venv ## the numeric tests as on other CPUs, and some as another user in an odd folder
	.ci/elsewhere
	.ci/as-nobody

check: venv ## lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv ## write docs/commands.md anew from the commands' own help
	$(BIN)/python docs/commands.py

bench: venv ## speed side by side with peers, as ratios
	$(BIN)/pip install --quiet -c constraints.txt --group bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .cache dist
