# `make demo` shows it at work, `make test` proves it; both set up what they need.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
BED    := $(RUN) -m scripts.testbed run --
# extras stand in the pins, or pip would look for other versions that have them
PIN    := uv pip compile --quiet --universal --generate-hashes --no-strip-extras \
          --no-emit-index-url --no-emit-find-links --no-header

.PHONY: help setup demo test check lint types docs docs-check site picture schemas bench proof secrets scale soak bundle packages deploy-check pins clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## make the virtual environment, from hashed requirements

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) scripts/prerequisites.py
	@echo "setting up $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup ## let a real local model answer through a real MCP client
	@$(BED) $(RUN) -m scripts.demo

test: setup ## run every test, those against a real Ollama included
ifdef ARGS
	@$(BED) $(RUN) -m pytest $(ARGS)
else # two processes, each with a daemon of its own
	@$(RUN) -m pytest -m "not live" --ignore tests/clients --ignore tests/proof -n 2 --durations 10
	@$(BED) $(RUN) -m pytest tests/live tests/clients -n 2 --dist loadfile --durations 30
endif

check: lint types docs-check ## all that needs no daemon and no test

lint: setup ## look for mistakes and foreign style
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: setup ## check the types
	@$(VENV)/bin/mypy

docs: setup ## write the tables of README.md and docs/ from the code
	@$(RUN) -m scripts.reference

docs-check: setup ## fail if those tables are not what the code says
	@$(RUN) -m scripts.reference --check

site: build/zensical/.ready ## write the documentation as a site; fail on a link that leads nowhere
	@build/zensical/bin/zensical build --strict

build/zensical/.ready: requirements-docs.txt
	@$(PYTHON) -m venv build/zensical
	@build/zensical/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

picture: setup ## draw the README's picture anew, from a real run
	@$(BED) $(RUN) -m scripts.picture

schemas: setup ## accept the tools' schemas as they are now; review the diff
	@UPDATE_SCHEMAS=1 $(RUN) -m pytest -q tests/test_schemas.py tests/prompts tests/resources

bench: setup ## measure, as ratios in one run; ARGS=gateway, batch or peers for those, all for all
	@$(BED) $(RUN) -m bench $(ARGS)

proof: setup ## break it, long and hard, and write down what came of it; ARGS=faults for a part
	@$(RUN) -m scripts.proof $(ARGS)

secrets: setup ## look for secrets in the repository and in its history
	@$(RUN) -m scripts.secrets

scale: setup ## show two servers, two Ollamas, HAProxy and Valkey while parts die; ARGS=--write
	@$(RUN) -m scripts.scale $(ARGS)

soak: setup ## call a server for half an hour, and see that it does not grow
	@$(BED) $(RUN) -m bench soak $(ARGS)

bundle: setup ## pack the MCP bundle for Claude Desktop into dist/
	@$(RUN) -m scripts.deploy.bundle

packages: ## install the package in every way, with every Python here, and start it
	@$(PYTHON) -m scripts.packages $(ARGS)

deploy-check: setup ## check what is deployed and published by the tools that will read it
	@$(RUN) -m scripts.deploy $(ARGS)

pins: ## pin anew what pyproject.toml asks for, with hashes; needs uv
	@$(PIN) --python-version 3.10 --all-extras --group dev pyproject.toml -o requirements-dev.txt
	@$(PIN) --python-version 3.11 requirements-docs.in -o requirements-docs.txt

clean: ## remove what `make setup` made
	@rm -rf $(VENV)
