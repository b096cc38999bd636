# make help     list these commands
# make serve    serve the champion at http://127.0.0.1:8000
# make trainer  install the packages for training, so that the service can retrain itself
# make train    train on your photos: make train DATA=folder [OPTIONS="--strategy finetune"]
# make test     run the tests that are quick;  make test-all  run all of them;  make check  run what CI checks
# make bench    measure next to other ways to serve and train;  make lock  pin the dependencies again
# make image    build the images catdog:serve and catdog:train;  make image-gpu  build catdog:gpu
# make pin-images  write the digests of the base images into Dockerfile and docker-compose.yml
# make test-containers  build and test the images;  make check-supply  list their packages and known vulnerabilities
# make test-label-studio  test with a real Label Studio, which it installs;  make test-ray  with a Ray cluster of three nodes

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --require-hashes
PACKAGES := catdog app command training benchmarks tests

LOCK := $(abspath $(BIN))/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
PEERS := tutorial litserve bentoml rayserve

PARTS := serve postgres storage train gpu  # the files in requirements/ that users install

# Python versions with wheels for every package (TensorFlow has none for newer versions). The same as in README and pyproject.toml.
OLDEST := 3.11
NEWEST := 3.14
NEWEST_TRAINER := 3.13
RUNS_HERE = import platform, sys; \
	oldest, newest, part = sys.argv[1], sys.argv[2], sys.argv[3]; \
	given = platform.python_version(); \
	number = lambda version: tuple(map(int, version.split(".")[:2])); \
	wrong = not number(oldest) <= number(given) <= number(newest); \
	(platform.system(), platform.machine()) == ("Darwin", "x86_64") and sys.exit("catdog does not run on Macs with Intel processors: OpenVINO has no wheel for them; use Docker"); \
	wrong and sys.exit(f"{part} needs Python {oldest} to {newest}, and this is {given}; choose another one: make clean, then make PYTHON=python{newest} ...")

BASE_IMAGES := python:3.12-slim-bookworm debian:bookworm-slim postgres:17-bookworm

DATA ?= data/photos
OPTIONS ?=

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' catdog/__init__.py)
IMAGE = docker build --build-arg VERSION=$(VERSION) --target $(1) --tag catdog:$(1) --tag catdog:$(VERSION)-$(1) .

.DEFAULT_GOAL := serve
.PHONY: help serve trainer train test test-all check bench lock pin-images image image-gpu test-containers test-label-studio test-ray check-supply clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

serve: $(VENV)/.serve
	$(BIN)/python -m app

trainer: $(VENV)/.train

train: $(VENV)/.train
	$(BIN)/python -m training train --data "$(DATA)" $(OPTIONS)

# The service first, by itself: threads and engines that hundreds of ended services leave behind would crash OpenVINO in the
# other tests. A file's tests stay in one process, and those of the page follow each other, because they share a browser. Tests
# of the service often wait: two cores run three.
WORKERS ?= 2
SERVICE_WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder -m "$(1)" --numprocesses
RUN_TESTS = $(PYTEST) $(SERVICE_WORKERS) tests/app && $(PYTEST) $(WORKERS) tests --ignore tests/app

test: $(VENV)/.dev
	$(call RUN_TESTS,not containers and not label_studio and not ray and not whole)

test-all: $(VENV)/.dev
	$(call RUN_TESTS,not containers and not label_studio and not ray)

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/mypy
	$(MAKE) test-all

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

pin-images:
	for image in $(BASE_IMAGES); do \
		digest=$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' $$image) || exit; \
		sed -i.before -E "s|$$image(@sha256:[0-9a-f]+)?|$$image@$$digest|" Dockerfile docker-compose.yml || exit; \
	done
	rm Dockerfile.before docker-compose.yml.before

image:
	$(call IMAGE,serve)
	$(call IMAGE,train)

image-gpu:
	$(call IMAGE,gpu)

test-containers: $(VENV)/.dev
	$(BIN)/python -m pytest -m containers

test-label-studio: $(VENV)/.dev
	$(BIN)/python -m pytest -m label_studio

test-ray: $(VENV)/.dev
	$(BIN)/python -m pytest -m ray

check-supply: $(VENV)/.dev
	mkdir -p sbom
	for part in $(PARTS); do $(BIN)/cyclonedx-py requirements requirements/$$part.txt --pyproject pyproject.toml \
		--output-reproducible -o sbom/$$part.json || exit; done
	$(BIN)/pip-audit --strict --disable-pip --require-hashes $(PARTS:%=-r requirements/%.txt)

# The largest first: it constrains the versions of the smaller ones, so that one environment can contain them all.
lock: $(VENV)/.python
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	cd requirements && $(LOCK) ../pyproject.toml --upgrade --extra train --extra export --group ../pyproject.toml:dev -o dev.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt --extra train -o train.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt --extra gpu -o gpu.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt --extra postgres -o postgres.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt --extra postgres --extra storage -o storage.txt
	cd requirements && $(LOCK) ../pyproject.toml --constraints dev.txt -o serve.txt
	cd benchmarks/peers && for peer in $(PEERS); do $(LOCK) --upgrade $$peer/requirements.in -o $$peer/requirements.txt || exit; done
	cd tests/clients && $(LOCK) ../../pyproject.toml --constraints ../../requirements/dev.txt --extra ray --extra cloud --extra train -o ray.txt
	cd tests/clients && $(LOCK) ../../pyproject.toml clouds.in --constraints ../../requirements/dev.txt --extra cloud -o clouds.txt
	cd tests/clients && for client in requirements label-studio; do $(LOCK) --upgrade $$client.in -o $$client.txt || exit; done

clean:
	rm -rf $(VENV) .venv-bench .venv-clients .venv-clouds .venv-label-studio .venv-ray

# Each stamp file means that the pinned packages of this part are installed. A larger part contains the smaller ones.
$(VENV)/.python:
	$(PYTHON) -c '$(RUNS_HERE)' $(OLDEST) $(NEWEST) catdog
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.serve $(VENV)/.train $(VENV)/.dev: $(VENV)/.%: requirements/%.txt | $(VENV)/.python
	$(if $(filter %/.serve,$@),,$(BIN)/python -c '$(RUNS_HERE)' $(OLDEST) $(NEWEST_TRAINER) training)
	@echo "installing the packages of $<, which takes a few minutes the first time"
	$(PIP) -r $<
	touch $@
