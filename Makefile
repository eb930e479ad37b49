# One entry point for every task; CI calls the same targets. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
DATA ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
PYTEST_ARGS ?=
BLAS_THREADS ?= 1

BIN := $(VENV)/bin
DEMO := $(VENV)/.stamp-demo
DEV := $(VENV)/.stamp-dev
DOCS := $(VENV)/.stamp-docs

# What is type-checked; pyproject.toml names what is left out.
TYPED := sklearn_unlearn

# One BLAS thread: the matrices of the tests are too small for more, and tests run side by side.
# With BLAS_THREADS= they run without a limit of their own: slower, and as green.
PYTEST := $(if $(BLAS_THREADS),OMP_NUM_THREADS=$(BLAS_THREADS) OPENBLAS_NUM_THREADS=$(BLAS_THREADS)) \
	$(BIN)/python -m pytest -q
FAST := -n logical --maxprocesses 4 -m "not slow and not network and not gpu"

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage test-slow lint mypy format docs bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  Options: DATA=events.csv and DEMO_ARGS=... (demo), BENCH_ARGS=... (bench),"
	@echo "           PYTEST_ARGS=... (test, coverage, test-slow),"
	@echo "           PYTHON=python3 (3.11 or newer), VENV=.venv"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	"$(PYTHON) is Python %d.%d; sklearn-unlearn needs 3.11 or newer. Try: make PYTHON=python3.12" \
	% v[:2])'
	$(PYTHON) -m venv $(VENV)

# The stamps make set-up run again when the dependencies change, and only then.
# A demonstration needs neither torch nor what tests need.
$(DEMO): pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints-dev.txt \
		-e '.[frames]'
	@touch $@

$(DEV): pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints-dev.txt -e '.[dev]'
	@touch $@

# Pages import the package and run the gallery: no torch, and nothing of what tests need.
$(DOCS): pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints-dev.txt -e '.[docs]'
	@touch $@

setup: $(DEV) ## create the virtual environment (the other targets do it when needed)

demo: $(DEMO) ## fit, forget, compare with a refit; on your own events with DATA=file.csv
	$(BIN)/python -m sklearn_unlearn $(if $(DATA),'$(DATA)') $(DEMO_ARGS)

test: $(DEV) ## fast tests and doctests, in up to four processes
	$(PYTEST) $(FAST) $(PYTEST_ARGS)

coverage: $(DEV) ## share of the lines that the fast tests run, as a figure
	$(PYTEST) $(FAST) --cov --cov-report= $(PYTEST_ARGS)
	@echo "coverage of the fast tests: $$($(BIN)/coverage report --format=total) %"

test-slow: $(DEV) ## the tests marked slow
	$(PYTEST) -n logical --maxprocesses 4 --dist loadgroup -m "slow and not network and not gpu" $(PYTEST_ARGS)

lint: $(DEV) ## ruff, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory mypy

mypy: $(DEV) ## types of the package
	$(BIN)/mypy $(TYPED)

format: $(DEV) ## let ruff fix and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS) ## HTML documentation in docs/_build/html; a warning is an error
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	$(BIN)/python -m sphinx -j auto -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(DEV) ## benchmarks, e.g. BENCH_ARGS="--help"
	$(BIN)/python -m sklearn_unlearn.benchmarks $(BENCH_ARGS)

clean: ## remove caches and built documentation (not the environment)
	rm -rf docs/_build docs/_static/generated docs/api/generated docs/auto_examples build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find sklearn_unlearn tests -name __pycache__ -type d -prune -exec rm -rf {} +
