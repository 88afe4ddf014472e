# Everything needs python3 (3.11 or newer) and make; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: venv run test test-slow test-elsewhere check docs bench clean

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
	$(BIN)/pytest -q -m "not slow"

test-slow: venv ## what takes minutes or needs fresh virtual environments
	$(BIN)/pytest -q -m slow

test-elsewhere: venv ## the numeric tests as on other CPUs, and some as another user in an odd folder
	.ci/elsewhere
	.ci/as-nobody

check: venv ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: venv ## write docs/commands.md anew from the commands' own help
	$(BIN)/python docs/commands.py

bench: venv ## speed side by side with peers, as ratios
	$(BIN)/pip install --quiet -c constraints.txt --group bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .cache dist
