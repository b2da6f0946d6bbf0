# Everything a newcomer needs; each target sets up what it needs and does nothing twice.
PYTHON ?= python3
BIN := .venv/bin
# Much of a test is waiting: with `tried` three more than the two cores that the suite is cut for.
TEST_PROCESSES ?= 4
TRIED := tests/api/test_openapi_tried.py
# Compiled files are kept, whatever the environment says: else each of the tests' many processes compiles anew.
export PYTHONDONTWRITEBYTECODE :=
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: install demo test tests beside tried test-slow bench check lock browser
install: .venv/.installed

.venv/.installed: pyproject.toml requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	$(BIN)/jembatan demo

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

# Side by side: the types take one core nearly a minute where mypy has no cache, and the tests' start the other.
test: install
	@$(MAKE) --no-print-directory --jobs 3 beside tests

beside: install
	@$(MAKE) --no-print-directory --output-sync check tried

tests: install
	$(BIN)/python -m pytest -m "not slow" --ignore $(TRIED) --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# By itself: its cases are drawn when tests are collected, by each process that collects it.
tried: install
	$(BIN)/python -m pytest -m "not slow" $(TRIED)

test-slow: install
	$(BIN)/python -m pytest -m slow

# Peers of the benchmarks have dependencies of their own, in an environment of their own.
bench: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks.reconcile
	.venv-bench/bin/python -m benchmarks.payments
	.venv-bench/bin/python -m benchmarks.exceptions
	.venv-bench/bin/python -m benchmarks.refunds
	.venv-bench/bin/python -m benchmarks.completions
	.venv-bench/bin/python -m benchmarks.siplatih
	.venv-bench/bin/python -m benchmarks.credentials
	.venv-bench/bin/python -m benchmarks.europass
	.venv-bench/bin/python -m benchmarks.entitlements
	.venv-bench/bin/python -m benchmarks.pages

.venv-bench/.installed: .venv/.installed benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r benchmarks/requirements.txt
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Debian's Chromium for the browser tests, which say so and skip without it.
browser:
	apt-get update -qq && apt-get install -qq -y chromium

# Pin every dependency again, with hashes and without naming an index.
lock: install
	$(BIN)/uv pip compile $(LOCK) --extra dev --output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --constraint requirements.txt --output-file benchmarks/requirements.txt benchmarks/requirements.in
