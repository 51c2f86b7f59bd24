# Every target sets up what it needs. All paths are relative: the folder may have any name.

PYTHON := .venv/bin/python
RESULTS ?= results/demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /	/'

setup: ## make .venv
	@sh scripts/setup.sh

demo: setup ## a photograph through guard, codec, channel and recovery; what Bob sees and what Eve sees
	@$(PYTHON) -m privsc demo --out "$(RESULTS)"

test: ## all tests
	@sh scripts/setup.sh radio
	@$(PYTHON) -m pytest

bench: setup ## speed beside that of well-known packages, measured in the same minute
	@$(PYTHON) -m tests.bench.bench_privsc
	@PYTHONPATH=. /usr/bin/python3 -m tests.bench.bench_burst

lint: setup ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
