# Every target sets up what it needs. All paths are relative: the folder may have any name.

PYTHON := .venv/bin/python
RESULTS ?= results/demo
RADIO := PYTHONPATH=. /usr/bin/python3 -s
unexport PYTHONPATH PYTHONHOME# set by others (ROS) for their own Python
export CONSTRAINTS

.DEFAULT_GOAL := help
.PHONY: help setup demo radio-demo companion driver test bench lint wheel

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /	/'

setup: ## make .venv; CONSTRAINTS=1 takes the versions that were tested
	@sh scripts/setup.sh

demo: setup ## a photograph through guard, codec, channel and recovery; what Bob sees and what Eve sees
	@$(PYTHON) -m privsc demo --out "$(RESULTS)"

radio-demo: ## the demo through GNU Radio: channel model, Bob's and Eve's receivers; GUI=1 shows the window
	@sh scripts/setup.sh radio
	@$(PYTHON) -m privsc.cli.radio.demo "$(RESULTS)"
	@$(RADIO) -m flowgraphs.tools.run "$(RESULTS)/photo.png" --db "$(RESULTS)/K.db" --out results/radio $(if $(GUI),--window)

companion: ## gnuradio-companion with our blocks, loopback.grc opened
	@sh scripts/setup.sh radio
	@GRC_BLOCKS_PATH="$(CURDIR)/flowgraphs/blocks" PYTHONPATH="$(CURDIR)" PYTHONNOUSERSITE=1 gnuradio-companion flowgraphs/loopback.grc

driver: ## the virtual radio, a SoapySDR module in hardware/soapy_zmq/build
	@sh scripts/setup.sh radio
	@sh scripts/driver.sh

test: ## all tests
	@sh scripts/setup.sh radio
	@sh scripts/driver.sh if-possible
	@$(PYTHON) -m pytest

bench: ## speed beside that of well-known packages, one table of ratios in results/bench
	@sh scripts/setup.sh radio
	@sh scripts/driver.sh if-possible
	@$(PYTHON) -m benchmarks.run

wheel: setup ## the package for pip install, in dist/
	@rm -rf build/lib build/bdist.*
	@$(PYTHON) -m pip wheel --quiet --no-deps --disable-pip-version-check -w dist .
	@ls -l dist/*.whl

lint: setup ## ruff (rules and format), mypy, and who may import whom
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@PYTHONPATH=. .venv/bin/lint-imports
