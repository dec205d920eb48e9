# Everything a person does with the source tree. The first target that needs it sets up .venv by itself.
# PYTHON=python3.12 chooses the interpreter, ARGS="..." is handed on to what runs.

PYTHON ?=
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.set-up
QUICK_TESTS := $(wildcard tests/test_*.py tests/unit tests/properties)
TYPED := fluence_costwatch tests $(if $(wildcard migrations/*.py),migrations) $(if $(wildcard benchmarks/*.py),benchmarks)
BENCHMARKS := $(filter-out %/__init__.py,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-slow lint format lock wheel benchmarks clean

help: ## this list
	@echo 'make TARGET [ARGS="..."] [PYTHON=...]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make .venv with all that is needed (done by the other targets, too)

# The bootstrap touches the stamp last, so a set-up that failed half-way is done again.
$(STAMP): requirements-dev.lock pyproject.toml tools/bootstrap.sh tools/virtualenv.lock
	@PYTHON='$(PYTHON)' sh tools/bootstrap.sh

demo: $(STAMP) ## run the daemon on a simulated marketplace; nothing to configure
	@$(BIN)/fluence-costwatch demo $(ARGS)

test: $(STAMP) ## all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' $(ARGS)

check: $(STAMP) ## format, lint, types, unit and property tests: under a minute
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q -n 2 -m 'not slow' $(QUICK_TESTS) $(ARGS)

test-slow: $(STAMP) ## the tests that take minutes or the package index
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow --hypothesis-profile=slow $(ARGS)

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy --strict $(TYPED)

format: $(STAMP) ## let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## write the lock files anew from pyproject.toml (ARGS=--upgrade takes newer releases)
	sh tools/lock.sh $(ARGS)

wheel: $(STAMP) ## build the source archive and the wheel into dist/
	$(BIN)/python -m build --no-isolation

benchmarks: $(STAMP) ## run every benchmark
	@$(if $(BENCHMARKS),,echo 'There are no benchmarks yet.')
	@$(foreach file,$(BENCHMARKS),$(BIN)/python -m $(subst /,.,$(basename $(file))) $(ARGS) &&) true

clean: ## remove all that make made here, .venv included
	rm -rf .venv .tools dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
