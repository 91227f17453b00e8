# Everything a fresh clone needs is installed by these targets: Python packages from the hashed lock files, the CDK CLI
# from package-lock.json, Node from PyPI. Only python3 (3.11 or newer, with venv), make and git must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := src/driftloop/native/libdriftloop.so
UV_VERSION := 0.13.9
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Companies put certificates of their own into the system's store; uv and node look only into theirs unless they are told.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS := true
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif

.PHONY: help setup demo test check mutation compile mlflow browser peers clean

help:
	@echo "make demo     run the whole loop on real flights in the embedded AWS; report in build/demo"
	@echo "make test     all checks and tests"
	@echo "make check    format, lint, types and import contracts only"
	@echo "make mutation change the code that decides and see whether its tests notice; report in docs/reference"
	@echo "make compile  compile the pipeline definition again with the SageMaker SDK"
	@echo "make mlflow   show every training run of the AWS that the environment names in MLflow"
	@echo "make peers    install the tools that benchmarks.monitoring compares with (about 3 GB)"
	@echo "make setup    install what all of these need"
	@echo "make clean    remove what was built and installed"

setup: $(VENV)/.installed node_modules/.installed $(NATIVE)

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, e.g. make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.installed: $(VENV)/.uv locks/dev.txt pyproject.toml
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(NATIVE): $(VENV)/.installed infra/native.py $(wildcard src/driftloop/native/*.zig)
	$(BIN)/python -m infra.native

node_modules/.installed: $(VENV)/.installed package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

demo: setup
	driftloop demo

test: setup compile-environment spark-environment mlflow-environment browser
	tests/run

check: setup
	tests/check

mutation: setup
	$(BIN)/python -m tests.mutation

compile: compile-environment
	.venv-compile/bin/python -m pipelines.compile

compile-environment: .venv-compile/.installed

.venv-compile/.installed: $(VENV)/.uv locks/compile.txt
	$(PYTHON) -m venv .venv-compile
	$(BIN)/uv pip sync --quiet --python .venv-compile/bin/python --require-hashes locks/compile.txt
	@touch $@

spark-environment: .venv-spark/.installed

.venv-spark/.installed: $(VENV)/.uv locks/spark.txt
	$(PYTHON) -m venv .venv-spark
	$(BIN)/uv pip sync --quiet --python .venv-spark/bin/python --require-hashes locks/spark.txt
	@touch $@

mlflow: setup mlflow-environment
	driftloop mlflow

mlflow-environment: .venv-mlflow/.installed

.venv-mlflow/.installed: $(VENV)/.uv locks/mlflow.txt
	$(PYTHON) -m venv .venv-mlflow
	$(BIN)/uv pip sync --quiet --python .venv-mlflow/bin/python --require-hashes locks/mlflow.txt
	@touch $@

browser: setup
	tests/browser/install_chromium.sh

# What the benchmarks compare with, each in an environment of its own.
PEERS := reader scipy popmon whylogs evidently nannyml

peers: $(PEERS:%=.venv-peers/%/.installed)

.venv-peers/%/.installed: locks/peers/%.txt $(VENV)/.uv
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-peers/$*
	$(BIN)/uv pip sync --quiet --python .venv-peers/$*/bin/python --require-hashes locks/peers/$*.txt
	@touch $@

clean:
	rm -rf build cdk.out $(NATIVE) $(NATIVE).sha256 $(VENV) .venv-compile .venv-spark .venv-mlflow .venv-peers node_modules
