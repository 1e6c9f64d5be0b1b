.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: help sandbox demo test check lint types imports mutate bench compose reset requirements clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.venv/main.stamp: requirements/main.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/main.txt
	printf '%s\n' '#!/bin/sh' 'exec "$$(dirname "$$0")/python" -m proeftuin "$$@"' > $(BIN)/proeftuin && chmod +x $(BIN)/proeftuin
	$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "proeftuin-checkout.pth").write_text(str(pathlib.Path().absolute()) + "\n")'
	touch $@

.venv/dev.stamp: requirements/dev.txt .venv/main.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

sandbox: .venv/main.stamp ## Start the network, play the exchange and its refusals, stay up (Ctrl-C stops; PROEFTUIN_BASE_PORT moves its ports)
	$(RUN) proeftuin up

demo: .venv/main.stamp ## The same, then stop everything; exit 0 only when every outcome was the expected one
	$(RUN) proeftuin up --stop

test: .venv/dev.stamp ## All tests: unit, contract, scenarios, faults
	$(RUN) pytest -q $(T)

check: lint types imports ## Lint, types, import contract

lint: .venv/dev.stamp ## ruff
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: .venv/dev.stamp ## mypy, strict
	$(RUN) mypy proeftuin services tests benchmarks

imports: .venv/dev.stamp ## Who may import whom
	$(BIN)/lint-imports

mutate: .venv/dev.stamp ## Take each check of access, credentials and authorization out and demand that a test fails
	$(BIN)/python scripts/mutate

bench: .venv/dev.stamp ## Ratios measured in one run, into docs/benchmarks.md
	$(RUN) benchmarks.bench

compose: .venv/dev.stamp ## The network in containers; demo, contract and scenario tests against it from outside
	scripts/compose-demo

reset: .venv/main.stamp ## Throw the sandbox folder away
	$(RUN) proeftuin reset

requirements: ## Compile the pinned, hashed requirements anew (needs uv)
	cd requirements && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header main.in -o main.txt
	cd requirements && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header dev.in -c main.txt -o dev.txt

clean: ## Remove the environment
	rm -rf .venv
