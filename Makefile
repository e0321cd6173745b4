# Everything a newcomer or CI runs. `make` alone lists the targets.
BIN := .venv/bin/
PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help browser setup fix lint test slow cover check faults demo run bench assets migration lock clean

help:
	@echo "Hamkhan: make TARGET"; \
	grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) \
	  | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/ready  ## Make .venv from requirements.lock
fix: setup  ## Mend what ruff can mend, and format
	$(BIN)ruff check -q --fix; $(BIN)ruff format -q
lint: setup  ## ruff, mypy and the import contracts
	$(BIN)ruff check
	$(BIN)ruff format --check
	$(BIN)mypy
	$(BIN)lint-imports
test: setup  ## The tests; T="tests/library -k text" narrows them
	$(BIN)pytest -n auto -m "not slow" $(T)
slow: setup  ## The long tests: kills, brokers, browsers, real loans
	$(BIN)pytest -n auto -m slow $(T)
cover: setup  ## The tests with branch coverage and its floor
	$(BIN)pytest -n auto -m "not slow" --cov $(T)
check: lint cover  ## What every change passes; CI runs it and `make slow`
faults: setup  ## Kills, cuts, faulty servers, to var/faults; FULL=1, T="-k fr1_"
	HAMKHAN_FAULTS=$(if $(FULL),full,short) $(BIN)pytest -p tests.faults.report \
	  tests/faults tests/profiles/test_rhythm.py $(T)
demo: setup  ## The whole job on a sample library, then its pages
	$(BIN)hamkhan demo
run: setup  ## Web, worker and schedule in one process
	$(BIN)hamkhan run
bench: setup  ## Speed and memory as ratios; SIZE=small for a quick look
	$(BIN)python bench/run.py
browser:  ## Install the Chromium that the browser tests drive (Debian)
	command -v chromium >/dev/null || { apt-get update -qq && \
	  apt-get install -y -qq chromium >/dev/null; }
assets:  ## Fetch the Vazirmatn font from npm; all works without
	cd api/assets && npm ci --no-audit --no-fund && npm run --silent copy
migration: setup  ## A new migration: make migration M="add a column"
	$(BIN)hamkhan db revision "$(M)"
lock: setup  ## Write requirements.lock anew from pyproject.toml
	$(BIN)uv pip compile -q pyproject.toml --group dev --all-extras --universal \
	  --python-version 3.11 --generate-hashes -o requirements.lock
clean:  ## Remove what make and the demo made
	rm -rf .venv var .coverage .mypy_cache .pytest_cache .ruff_cache
