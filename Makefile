# What people do with Braid. `make help` lists it; BRAID_VAR, BRAID_PORT_BASE and BRAID_DATA are passed on.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python

.PHONY: help setup up down status demo parity data-faults bench-batch bench-features bench-stream bench-retrieval bench-scorer chaos evaluate-quick evaluate evaluate-final test test-long prove contracts-check lint clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

setup: ## install what is missing: system packages, uv, .venv, .venv-airflow, the JVM's jars
	@infra/setup/setup.sh

up: setup ## start the local stack and wait until it works
	@$(PYTHON) -m infra.cli up

down: ## stop the local stack
	@$(PYTHON) -m infra.cli down

status: ## show the local stack: state, ports, log files
	@$(PYTHON) -m infra.cli status

demo: setup ## ten months of a real shop, then one shopper whose list changes after one event
	@$(PYTHON) -m infra.demo

parity: setup ## every stored value in the reference, Spark and Flink; consent and decisions (about a quarter of an hour)
	@$(PYTHON) -m infra.parity

data-faults: setup ## faults planted into clean days: what the door and the gates catch, and what the gates cost
	@$(PYTHON) -m infra.faults

bench-batch: setup ## the batch at 1, 4 and 16 times the data, and a training set of a million examples (about half an hour)
	@$(PYTHON) -m infra.bench batch

bench-features: setup ## the online store beside stock Feast: materialization, contended writes, reads (about ten minutes)
	@$(PYTHON) -m infra.bench features

bench-stream: setup ## the stream from events to Redis: its rate beside a PyFlink job, freshness, growth (about a quarter of an hour)
	@$(PYTHON) -m infra.bench stream

bench-retrieval: setup ## the nearest of 500,000 items under a filter, beside other indexes (about ten minutes)
	@$(PYTHON) -m models.bench

bench-scorer: setup ## the request path at 500,000 items and a million shoppers, beside a tutorial's server (about twenty minutes)
	@$(PYTHON) -m infra.bench scorer

chaos: setup ## the stream's processes killed, what requests depend on broken, under load; then everything compared (about half an hour)
	@$(PYTHON) -m infra.chaos

evaluate-quick: setup ## our retrieval beside tuned baselines on two public data sets, small searches (at most a quarter of an hour)
	@$(PYTHON) -m models.evaluation quick

evaluate: setup ## our retrieval beside tuned baselines on the public data sets and on the shop's August (hours)
	@$(PYTHON) -m infra.evaluation --cut 2011-08-31
	@$(PYTHON) -m models.evaluation full

evaluate-final: setup ## what `evaluate` chose, on the shop's September; each opening is recorded
	@$(PYTHON) -m infra.evaluation --cut 2011-09-30
	@$(PYTHON) -m models.evaluation final

test: setup lint ## every check: style, types, imports, then the tests with the real servers
	@$(PYTHON) -m pytest

test-long: setup ## the tests that take minutes each: more workers, all state lost (about ten minutes)
	@$(PYTHON) -m pytest -m long

prove: test-long demo parity data-faults bench-batch bench-features bench-stream bench-retrieval bench-scorer chaos evaluate ## the long proofs; each writes a report under var/reports

contracts-check: ## the wire's schemas against the newest ones released
	@$(PYTHON) -m contracts.compat

lint: contracts-check ## style, types, who may import whom, and the released contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

clean: ## stop the stack and remove its state (the environments and jars stay)
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m infra.cli clean; else echo "there is no .venv to do it with: run make setup"; fi
