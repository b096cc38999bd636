# make serve    serve the champion at http://127.0.0.1:8000
# make trainer  install what training needs, so that the service can retrain itself
# make train    train on your photos: make train DATA=folder [OPTIONS="--strategy finetune"]
# make test     run the tests;  make check  all that CI checks
# make bench    measure side by side with the usual way;  make lock  pin the dependencies anew

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
PACKAGES := catdog app training benchmarks tests

LOCK := $(abspath $(BIN))/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
PEERS := tutorial litserve bentoml rayserve

DATA ?= data/photos
OPTIONS ?=

.PHONY: serve trainer train test check bench lock clean

serve: $(VENV)/.serve
	$(BIN)/python -m app

trainer: $(VENV)/.train

train: $(VENV)/.train
	$(BIN)/python -m training train --data "$(DATA)" $(OPTIONS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# The largest first: the smaller ones are held to its versions, so that one environment can hold them all.
lock: $(VENV)/.python
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	cd requirements && $(LOCK) ../pyproject.toml --upgrade --extra train --group ../pyproject.toml:dev -o dev.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt --extra train -o train.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt -o serve.txt
	cd benchmarks/peers && for peer in $(PEERS); do $(LOCK) --upgrade $$peer/requirements.in -o $$peer/requirements.txt || exit; done

clean:
	rm -rf $(VENV) .venv-bench

# Each stamp means: the environment holds what this part needs, as pinned. A larger part holds the smaller ones.
$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "catdog needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.serve $(VENV)/.train $(VENV)/.dev: $(VENV)/.%: requirements/%.txt | $(VENV)/.python
	$(PIP) -r $<
	touch $@
