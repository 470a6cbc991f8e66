# make serve    serve the example application on http://127.0.0.1:8000
# make test     run the tests             (make test ARGS="-k timeouts -x"; ARGS="-n 4": several at once)
# make check    ruff and mypy --strict over sources, tests and examples
# make setup    prepare .venv with all that development needs
# make format   let ruff lay out the code
# make docs     write the parts of the reference that are made from code
# make bench    compare the speed of servers   (make bench ARGS="--servers asgiserve uvicorn --scenarios get")
# make bench-websockets    the part of it that is about WebSockets   (ARGS="--servers asgiserve granian --rounds 5")
# make bench-frameworks    the part of it that is about asgiweb   (ARGS="--scenarios in-process imports")
# make bench-in-process    compare what asgiserve and uvicorn themselves cost, without a network
# make bench-routing    compare what asgiweb's router and its peers' cost (make bench-routing ARGS="--rounds 5")
# make profile  show where the time of a request goes inside asgiserve
# make slowloris    measure a well-behaved client while a thousand hostile ones hold connections
# make idle     measure what ten thousand idle connections cost
# make soak     make two million mixed requests, and see that nothing grows
# make fuzz     look for input that asgiserve does not handle: 20 minutes, or what ARGS says   (make fuzz ARGS=5)
# make autobahn    run the fuzzing client of the Autobahn Testsuite against asgiserve   (make autobahn ARGS="6.*")
# make clean    remove .venv and caches
#
# PYTHON=python3.13 VENV=.venv-3.13 make test    the same on another interpreter

PYTHON ?= python3
VENV   ?= .venv
APP    ?= examples.hello:app
ARGS   ?=
PYTHON2 ?= python2.7

BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet
PROJECTS := packages/asgiserve/pyproject.toml packages/asgiweb/pyproject.toml

.PHONY: serve test check setup format docs bench bench-websockets bench-frameworks bench-in-process bench-routing profile slowloris idle soak fuzz autobahn clean

serve: $(VENV)/.serve
	@exec $(BIN)/asgiserve $(APP) $(ARGS)

test: $(VENV)/.setup
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

setup: $(VENV)/.setup

format: $(VENV)/.setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.setup
	$(BIN)/python -m docs.generate

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)$(if $(ARGS),,; http=$$?; $(BIN)/python -m benchmarks.websockets && \
	  $(BIN)/python -m benchmarks.frameworks && exit $$http)

bench-websockets: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.websockets $(ARGS)

bench-frameworks: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.frameworks $(ARGS)

bench-in-process: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.in_process $(ARGS)

bench-routing: $(VENV)/.setup
	@$(BIN)/python -m benchmarks.routing $(ARGS)

profile: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.profiling $(ARGS)

slowloris idle soak: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.$@ $(ARGS)

fuzz: $(VENV)/.fuzz
	@$(BIN)/python -m tests.asgiserve.fuzzing $(ARGS)

autobahn: .venv-autobahn/.setup $(VENV)/.setup
	@$(BIN)/python -m tests.autobahn .venv-autobahn/bin/wstest $(ARGS)

clean:
	rm -rf $(VENV) .venv-autobahn .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Steps, each done again only when what it depends on has changed: an empty environment; in it the two
# packages with what they need to run; and what their tests, the benchmarks and the fuzzers need.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. Install it (Debian: apt install python3), or name another: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is too old: 3.11 or newer is needed. Name another one: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "The venv module of $(PYTHON) is missing. Install it (Debian: apt install python3-venv)."; exit 1; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: constraints.txt $(PROJECTS) | $(BIN)/python
	@echo "Installing asgiserve and asgiweb into $(VENV) ..."
	@$(PIP) -e packages/asgiserve[standard] -e packages/asgiweb[standard] || { \
	  echo "The installation failed; pip says why above. It needs a package index that can be reached."; exit 1; }
	@touch $@

$(VENV)/.setup: tests/requirements.txt $(VENV)/.serve
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) -r tests/requirements.txt || { \
	  echo "The installation failed; pip says why above. It needs a package index that can be reached."; exit 1; }
	@touch $@

$(VENV)/.bench: benchmarks/requirements.txt $(VENV)/.serve
	@echo "Installing what the benchmarks need into $(VENV) ..."
	@$(PIP) -r benchmarks/requirements.txt || { \
	  echo "The installation failed; pip says why above. It needs a package index that can be reached."; exit 1; }
	@touch $@

$(VENV)/.fuzz: tests/asgiserve/fuzzing/requirements.txt $(VENV)/.setup
	@echo "Installing what the fuzzers need into $(VENV) ..."
	@$(PIP) -r tests/asgiserve/fuzzing/requirements.txt || { \
	  echo "The installation failed; pip says why above. It needs a package index that can be reached."; exit 1; }
	@touch $@

# The Autobahn Testsuite is written for Python 2.7.
.venv-autobahn/.setup: tests/autobahn/requirements.txt
	@command -v $(PYTHON2) >/dev/null || { \
	  echo "The Autobahn Testsuite needs $(PYTHON2). Name another one: make autobahn PYTHON2=..."; exit 1; }
	@echo "Installing the Autobahn Testsuite into .venv-autobahn ..."
	@$(PYTHON2) -m pip install --quiet --target .venv-autobahn/tools 'virtualenv<20.22'
	@PYTHONPATH=.venv-autobahn/tools $(PYTHON2) -m virtualenv --quiet --no-download .venv-autobahn
	@.venv-autobahn/bin/pip install --quiet -r tests/autobahn/requirements.txt
	@touch $@
