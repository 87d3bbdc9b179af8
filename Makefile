# The environment in .venv is made on first need and again whenever the locks or pyproject.toml
# change. Another interpreter: make PYTHON=python3.13 test

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN := .venv/run.stamp
DEV := .venv/dev.stamp
BENCH := .venv-bench/bench.stamp
PYTEST_ARGS ?=
BENCH_ARGS ?= --out runs/bench

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak bench coverage lint check layout types imports \
	ruler format reference clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '%-16s %s\n' "$$name" "$$text"; done

setup: $(DEV) ## make .venv with everything that tests and checks need

demo: $(RUN) ## train on data that comes with scikit-learn, predict, and show the model
	$(BIN)/thalweg train breast_cancer --out runs/demo --seed 0
	$(BIN)/thalweg predict runs/demo/model.safetensors breast_cancer --out runs/demo/predictions.csv
	$(BIN)/thalweg summary runs/demo/model.safetensors

test: $(DEV) ## run all tests but the long ones
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile $(PYTEST_ARGS)

soak: $(DEV) ## run the long tests
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

bench: $(BENCH) ## compare with PyTorch, JAX and others, in .venv-bench (BENCH_ARGS="--out docs")
	.venv-bench/bin/python -m thalweg.bench $(BENCH_ARGS)

coverage: $(DEV) ## run the tests and list the lines that none of them reaches
	$(BIN)/python -m pytest -m "not soak" --cov=thalweg --cov-report=term-missing $(PYTEST_ARGS)

lint: check layout types imports ruler ## run every check of the source (all of them with make -k lint)

check: $(DEV) ## likely mistakes and style (ruff)
	$(BIN)/python -m ruff check .

layout: $(DEV) ## layout of the source (ruff format)
	$(BIN)/python -m ruff format --check .

types: $(DEV) ## types (pyright)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/python -m pyright

imports: $(DEV) ## which part may import which (import-linter)
	$(BIN)/lint-imports

ruler: $(DEV) ## sizes, docstrings and annotations of src against their aims
	$(BIN)/python tools/ruler.py src

format: $(DEV) ## rewrite the source in the project's style
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

reference: $(RUN) ## write docs/reference from the registries
	$(BIN)/python tools/reference.py

clean: ## remove caches, builds and the demo's files
	rm -rf build dist runs/demo .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv and .venv-bench as well
	rm -rf .venv .venv-bench

$(RUN): requirements/run.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "thalweg needs Python 3.11 or newer, and found none." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 test" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "thalweg needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1) as $(PYTHON)." \
		"Name a newer one: make PYTHON=python3.12 test" >&2; exit 1; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(PIP) install --quiet --no-deps -r requirements/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	$(PIP) install --quiet --no-deps -r requirements/dev.txt
	$(PIP) check
	@touch $@

$(BENCH): $(RUN) requirements/bench.txt
	@.venv-bench/bin/python -c 'import pip' 2>/dev/null || $(BIN)/python -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
		-r requirements/run.txt -r requirements/bench.txt
	.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
		--no-build-isolation -e .
	@touch $@
