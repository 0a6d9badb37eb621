# The only door: people, README and CI come in here. Needs Python 3.11; everything else is brought along.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
EDGELOOP_HOME ?= $(CURDIR)/.edgeloop
export EDGELOOP_HOME
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins
# Nothing leaves the machine unasked.
export ORT_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
export UV_NO_PROGRESS := 1
# Compiled modules are kept, whatever the caller's environment says: imports are the larger part of a short task.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo up down status test check format bench lock clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

PACKAGES := requirements.txt include/standin/requirements.txt include/standin/storage/requirements.txt requirements-dev.txt

$(VENV)/.packages: $(PACKAGES) | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(PACKAGES:%=-r %)
	@touch $@

$(VENV)/.azurite: include/standin/storage/package-lock.json include/standin/storage/package.json $(VENV)/.packages
	$(BIN)/python -m include.standin.storage.install
	@touch $@

$(VENV)/.environments: $(wildcard include/workloads/*/requirements.txt) $(VENV)/.packages
	$(BIN)/python -m include.standin.machine_learning.environments
	@touch $@

install: $(VENV)/.packages $(VENV)/.azurite $(VENV)/.environments ## everything that the loop needs, once

demo: install ## the whole loop on this machine; ONCE=1: end after the summary
	$(BIN)/python -m include.demo $(if $(ONCE),--once)

up: install ## start the embedded cloud
	$(BIN)/python -m include.standin up

down: ## stop everything that was started here
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m include.standin down; fi

status: ## how every program is
	$(BIN)/python -m include.standin status

test: install ## every test, without a network where the machine allows that
	$(BIN)/python tests/loopback.py $(BIN)/python tests/suite.py $(TESTS)

check: $(VENV)/.packages ## formatting, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy include plugins dags
	$(BIN)/pytest -q tests/architecture

format: $(VENV)/.packages ## write the formatting that check asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## measured side by side; results in benchmarks/out
	$(BIN)/python -m benchmarks

lock: | $(BIN)/uv ## pin every requirement anew
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 -o requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 -o requirements-dev.txt requirements-dev.in
	for file in $(wildcard include/*/requirements.in include/*/*/requirements.in); do \
		$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 \
			-o "$${file%.in}.txt" "$$file" || exit 1; done

clean: down ## stop, and forget the embedded cloud
	rm -rf "$(EDGELOOP_HOME)"
