# make demo and make test work on a fresh clone: they set up $(VENV) first, and again whenever
# requirements.txt, pyproject.toml or the version of $(PYTHON) change.

PYTHON  ?= python3
VENV    ?= .venv
# tests also wait, for servers and disks: on two cores a third worker is well used
WORKERS ?= 3
# each orchestrator is tested in an environment of its own
DAGSTER ?= 1.13.27
AIRFLOW ?= 3.3.2

BIN     := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo notebook notebook-setup orchestrators test test-all test-newest conformance coverage check torture fmt lint types imports site build package clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.run-$(VERSION)  ## load a made-up project into mixpanel.duckdb; no account needed
	@$(BIN)/mixpanel-source demo

notebook: notebook-setup  ## look at what is in mixpanel.duckdb, in the browser
	@$(BIN)/marimo run pipelines/local_analysis.py

notebook-setup: $(VENV)/.run-$(VERSION)
	@$(PIP) --editable '.[notebook]'

test: $(VENV)/.dev-$(VERSION)  ## run the tests, without the slowest
	@$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow' --durations=25 $(COVERAGE)

orchestrators: $(VENV)-dagster/.ready-$(DAGSTER) $(VENV)-airflow/.ready-$(AIRFLOW)  ## set up the environments in which Dagster and Airflow are tested

test-all: $(VENV)/.all-$(VERSION) $(VENV)-dbt/.ready orchestrators  ## run all tests
	@DBT=$(abspath $(VENV)-dbt/bin/dbt) $(BIN)/python -m pytest -n $(WORKERS) --durations=25 $(COVERAGE)

conformance: $(VENV)/.all-$(VERSION)  ## run every scenario on every destination, and write what they found into the README
	@RECORD_CONFORMANCE=1 $(BIN)/python -m pytest -n $(WORKERS) tests/conformance; \
		outcome=$$?; $(BIN)/python -m docs.tables && exit $$outcome

# requirements.txt pins the newest DuckDB with packages of its extensions; this takes the newest of all
test-newest:  ## run the tests, without the slowest, with the newest version of every package
	@$(PYTHON) -m venv --clear $(VENV)-newest
	@$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[delta,fast,iceberg,postgres,dev,docs]'
	@$(VENV)-newest/bin/python -m pytest -n $(WORKERS) -m 'not slow' --durations=25

coverage: COVERAGE := --cov --cov-branch --cov-report=term
coverage: test-all  ## run all tests and measure which lines and branches they reach; takes longer

# from Python 3.12 on, sys.monitoring reports lines at little cost; before, the tests would take half
# as long again
check: export COVERAGE_CORE := sysmon
check: COVERAGE := $(shell $(PYTHON) -c 'import sys; sys.version_info < (3, 12) or print("--cov --cov-report=term:skip-covered")')
check: lint types imports site test  ## everything a change has to pass

torture: $(VENV)/.dev-$(VERSION)  ## kill syncs and imports, cut their power and connections, run several at once
	@for destination in duckdb postgres; do \
		for kind in random_kills power_cuts random_writers; do \
			$(BIN)/python -m tests.support.$$kind $$destination || exit 1; \
		done; \
	done
	@for destination in duckdb ducklake delta iceberg parquet; do \
		$(BIN)/python -m tests.support.random_kills $$destination --kills 20 --days 20 --in-loads \
			|| exit 1; \
	done
	@$(BIN)/python -m tests.support.commit_cuts
	@$(BIN)/python -m tests.support.archive_kills
	@$(BIN)/python -m tests.support.twenty_projects
	@$(BIN)/python -m tests.support.killed_sends
	@$(BIN)/python -m tests.support.write_acceptance

fmt: $(VENV)/.dev-$(VERSION)  ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lint: $(VENV)/.dev-$(VERSION)  ## check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev-$(VERSION)  ## check types
	@$(BIN)/mypy

imports: $(VENV)/.dev-$(VERSION)  ## check that the layers hold
	@$(BIN)/lint-imports

site: $(VENV)/.dev-$(VERSION)  ## build the site of the documentation in site/; a broken link is an error
	@# with --quiet it would not count warnings, which are errors here
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: $(VENV)/.dev-$(VERSION)  ## make the wheel and the source archive in dist/
	@$(BIN)/python -m build --outdir dist

package: build  ## install the wheel alone, in an empty environment, and run the demo with it
	@rm -rf dist/try && $(PYTHON) -m venv dist/try/venv
	@dist/try/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint requirements.txt dist/*.whl
	@cd dist/try && export DLT_DATA_DIR=dlt && venv/bin/mixpanel-source demo && \
		venv/bin/python -c 'from mixpanel_source import create_views; print(create_views())'

clean:  ## remove the environment, caches and built files; loaded data stays
	rm -rf $(VENV) $(VENV)-dbt $(VENV)-newest $(VENV)-dagster $(VENV)-airflow dist build site *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python-$(VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: Python 3.10 or newer is needed; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run-$(VERSION): requirements.txt pyproject.toml | $(VENV)/.python-$(VERSION)
	@echo "setting up $(VENV) with what running needs ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev-$(VERSION): requirements.txt pyproject.toml | $(VENV)/.python-$(VERSION)
	@echo "setting up $(VENV) with what developing needs ..."
	@$(PIP) --editable '.[delta,ducklake,fast,iceberg,postgres,dev,docs]'
	@touch $(VENV)/.run-$(VERSION) $@

# the DuckDB of the pipeline, whose files dbt writes to
$(VENV)-dbt/.ready: dbt/requirements.txt requirements.txt
	@echo "setting up $(VENV)-dbt with what the tests of the dbt package need ..."
	@$(PYTHON) -m venv --clear $(VENV)-dbt
	@$(VENV)-dbt/bin/python -m pip install --quiet --disable-pip-version-check --requirement dbt/requirements.txt \
		"$$(grep -oE "^duckdb==[0-9.]+" requirements.txt)"
	@touch $@

$(VENV)/.all-$(VERSION): $(VENV)/.dev-$(VERSION)
	@echo "setting up $(VENV) with what the slowest tests need ..."
	@$(PIP) --editable '.[lake-tests,ray]'
	@touch $@

$(VENV)-dagster/.ready-$(DAGSTER): requirements.txt pyproject.toml
	@echo "setting up $(VENV)-dagster for the tests of Dagster ..."
	@$(PYTHON) -m venv --clear $(VENV)-dagster
	@$(VENV)-dagster/bin/python -m pip install --quiet --disable-pip-version-check --editable . dagster==$(DAGSTER)
	@touch $@

$(VENV)-airflow/.ready-$(AIRFLOW): requirements.txt pyproject.toml
	@echo "setting up $(VENV)-airflow for the tests of Airflow ..."
	@$(PYTHON) -m venv --clear $(VENV)-airflow
	@$(VENV)-airflow/bin/python -m pip install --quiet --disable-pip-version-check --editable . apache-airflow==$(AIRFLOW)
	@touch $@
