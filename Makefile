# make setup once, then make demo. Everything lands in .venv and in the user's cache; nothing is installed on the system.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test test-fast differential openapi lint lint-types lint-style checked-and-prepared style-then-prepared bench clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## the environment: locked dependencies and caudal itself

$(VENV)/.venv-made:
	@bash tools/make-venv.sh $(VENV)
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.venv-made
	@bash tools/install-locked.sh $(VENV) requirements.lock
	@touch $@

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

$(VENV)/.ready: pyproject.toml $(VENV)/.locked
	@$(INSTALL)
	@touch $@
	@echo "Ready: 'make demo' runs an example from raw file to served prediction; '$(BIN)/caudal --help' lists the commands."

# The demo needs a plain installation and what simulates trips: half as many packages as the tests. An environment that has all will do too.
$(VENV)/.ready-demo: pyproject.toml requirements-demo.lock $(VENV)/.venv-made
	@bash tools/install-locked.sh $(VENV) requirements-demo.lock
	@$(INSTALL)
	@touch $@

demo: ## an example from raw file to served prediction (ARGS="..." are passed on)
	@$(MAKE) --no-print-directory $(if $(wildcard $(VENV)/.ready),setup,$(VENV)/.ready-demo)
	@$(BIN)/caudal demo $(ARGS)

# Types take longest and one core: the rest is looked at beside them.
lint: setup ## style, types and the import contracts
	@$(MAKE) --no-print-directory --jobs=2 lint-types lint-style

lint-types:
	$(BIN)/mypy

lint-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# To check types takes one core for a minute. What each process of the tests would make for itself is made on the other meanwhile: the
# archive that a start of Java maps, and the tests' compiled modules.
checked-and-prepared: setup
	@$(MAKE) --no-print-directory --jobs=2 lint-types style-then-prepared

style-then-prepared: lint-style
	@$(BIN)/python -m caudal.engine.warmup >/dev/null 2>&1 || true
	@$(BIN)/python -m pytest --collect-only --quiet >/dev/null 2>&1 || true

# Three at a time, each file whole in one of them: most tests wait for processes that they have started. The long files come first.
test: checked-and-prepared ## everything: lint, then all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: setup ## the tests that take no more than seconds
	$(BIN)/python -m pytest -m "not slow and not faults" $(ARGS)

SECONDS := 3600
SEED := 0

differential: setup ## histories of products for an hour, each run compared with a fresh one and a reference (SECONDS=600 SEED=17)
	DIFFERENTIAL_SECONDS=$$(($(SECONDS) / 2)) DIFFERENTIAL_SEED=$(SEED) $(BIN)/python -m pytest tests/differential/test_finds.py tests/differential/test_models.py tests/differential/test_increments.py -s $(ARGS)

CASES := 100000

openapi: setup ## requests made from the OpenAPI document, right and wrong ones, to both lanes of the server (CASES=10000)
	OPENAPI_CASES=$(CASES) $(BIN)/python -m pytest tests/unit/serve/test_openapi.py -k very_many -s $(ARGS)

bench: setup ## the benchmarks, side by side with peers
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment and what tools have cached here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
