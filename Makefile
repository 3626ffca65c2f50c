# One word a chore, the same on a laptop and in CI. Needs Python >= 3.11, a C++ compiler and make; the rest comes into .venv.
#
#   make demo     a market, live, with embedded servers     make test    everything, with real servers
#   make setup    .venv with all tools                      make build   build and install into .venv
#   make live     only the tests that need servers          make lint    ruff, mypy, cython-lint, clang-format
#   make bench    benchmarks                                make format  put sources into shape
#   make servers  Kafka, Redis, TimescaleDB on this machine make soak    the live tests, six times as long, all calendars, and what follows
#   make soak-bits  the golden paths with clang, and for aarch64 under qemu
#   make soak-fuzz  ten million damaged messages for the decoders, and libFuzzer where clang is
#   make wheels   sdist and wheel in dist/, the wheel for any Linux with glibc >= 2.28, tried in an empty environment
#   make clean    remove all that make has made
#
# make PYTHON=/path/to/python chooses the interpreter; make UV= does without uv where it exists.

.POSIX:
.DELETE_ON_ERROR:
.PHONY: clients demo test setup build live lint native bench format servers soak soak-bits soak-fuzz wheels clean

UV ?= $(shell command -v uv)
BIN = .venv/bin
SOURCES = $(shell find src csrc sql -type f ! -path '*/__pycache__/*') CMakeLists.txt pyproject.toml README.md LICENSE
NATIVE_SOURCES = $(shell find csrc tests/native -name '*.h' -o -name '*.cpp')
IN_VENV = PATH="$(CURDIR)/$(BIN):$$PATH"

# uv reads neither pip's variables nor the system's certificates by itself: on a machine that is set up for pip it must
# find the same index, through the same certificates.
UV_LIKE_PIP = export UV_SYSTEM_CERTS="$${UV_SYSTEM_CERTS-true}"; \
	[ -z "$$PIP_CERT" ] || export SSL_CERT_FILE="$${SSL_CERT_FILE-$$PIP_CERT}"; \
	[ -z "$$PIP_INDEX_URL" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$$PIP_INDEX_URL}"; \
	[ -z "$$PIP_EXTRA_INDEX_URL" ] || export UV_INDEX="$${UV_INDEX-$$PIP_EXTRA_INDEX_URL}"; \
	[ -z "$$PIP_FIND_LINKS" ] || export UV_FIND_LINKS="$${UV_FIND_LINKS-$$PIP_FIND_LINKS}"

# uv knows dependency groups from 0.7 on.
ifeq ($(UV),)
INSTALL = $(BIN)/python -m pip install --quiet
REINSTALL = $(INSTALL)
UPGRADE_PIP = $(INSTALL) 'pip>=25.1'  # the first that knows dependency groups; the one that comes with Python may not
else
INSTALL = $(UV_LIKE_PIP); "$(UV)" pip install --quiet --python $(BIN)/python
# A local project that has changed is built again only when uv is told to.
REINSTALL = $(INSTALL) --reinstall-package pseudofeed
UPGRADE_PIP = :
endif

# Sets the three variables: those of the environment, or else those of our own servers. Without any servers the tests run
# without their live part, except where that was forbidden (PSEUDOFEED_REQUIRE_LIVE=1, as in CI).
WITH_SERVERS = \
	if [ -n "$$PSEUDOFEED_KAFKA" ] && [ -n "$$PSEUDOFEED_REDIS" ] && [ -n "$$PSEUDOFEED_POSTGRES" ]; then \
	    echo "using the servers that PSEUDOFEED_KAFKA, PSEUDOFEED_REDIS and PSEUDOFEED_POSTGRES name"; \
	elif lines=$$($(BIN)/pseudofeed servers up); then \
	    export $$lines; \
	elif [ "$$PSEUDOFEED_REQUIRE_LIVE" = 1 ]; then \
	    echo "the servers are not up, and PSEUDOFEED_REQUIRE_LIVE=1 does not allow tests without them" >&2; exit 1; \
	else \
	    echo "the servers are not up: the tests that need them are left out" >&2; \
	fi

demo: .venv/.demo
	$(BIN)/pseudofeed demo

# Two files of tests at a time, in their order: most tests wait (for a broker to come back, for a session to time out),
# and the long ones come first. A test that is stuck for good ends its process, and with it the run, as it does without.
PYTEST = $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: .venv/.test clients lint native
	@$(WITH_SERVERS); $(PYTEST)

live: .venv/.test clients
	@$(WITH_SERVERS); $(PYTEST) tests/live $(wildcard tests/interop)

soak: .venv/.test soak-bits soak-fuzz wheels
	@$(WITH_SERVERS); PSEUDOFEED_SOAK=6 $(PYTEST) tests/live tests/unit/test_calendars.py

soak-bits: .venv/.test
	@$(IN_VENV) tests/native/soak_bits.sh build/bits
	@$(IN_VENV) tests/native/cross_compile.sh build/cross aarch64-linux-gnu.2.28

soak-fuzz: .venv/.test
	@$(IN_VENV) tests/native/soak_fuzz.sh build/fuzz

wheels: .venv/.tools
	@$(UV_LIKE_PIP); UV="$(UV)" wheels/make.sh $(BIN)/python

bench: .venv/.bench
	@$(WITH_SERVERS); $(BIN)/pytest benchmarks/bench_*.py --benchmark-columns=min,median,rounds

servers: .venv/.demo
	@$(BIN)/pseudofeed servers up

setup: .venv/.bench

build: .venv/.test

lint: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	$(IN_VENV) cython-lint src/pseudofeed
	$(BIN)/clang-format --dry-run -Werror $(NATIVE_SOURCES)

format: .venv/.test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(NATIVE_SOURCES)

# Other people's clients, for tests/interop. Where they can't be installed, those tests are skipped.
CLIENTS = kcat:kcat psql:postgresql-client redis-cli:redis-tools javac:default-jdk-headless mvn:maven
clients:
	@mkdir -p build; for client in $(CLIENTS); do command -v "$${client%%:*}" > /dev/null || missing="$$missing $${client#*:}"; done; \
	[ -n "$$missing" ] && command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ] || exit 0; \
	echo "installing$$missing"; \
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $$missing; } \
	    > build/clients.log 2>&1 || { tail -20 build/clients.log; exit 1; }

# The native core alone: no Python in it, its tests run by ctest. For macOS it is compiled, not run.
native: .venv/.test
	$(IN_VENV) cmake -S . -B build/native -G Ninja -DCMAKE_BUILD_TYPE=Release > build/native-configure.log || { cat build/native-configure.log; exit 1; }
	$(IN_VENV) cmake --build build/native
	$(IN_VENV) ctest --test-dir build/native --output-on-failure
	@$(IN_VENV) tests/native/cross_compile.sh build/cross aarch64-macos x86_64-macos

clean:
	rm -rf .venv build dist demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The wheel is built with the tools inside .venv: so CMake's build folder stays valid, and a second build is short.
.venv/.demo: .venv/.tools $(SOURCES)
	@echo 'building pseudofeed and installing it into .venv'
	@$(REINSTALL) --no-build-isolation '.[embedded,plot]'
	@touch $@

.venv/.test: .venv/.tools $(SOURCES)
	@echo 'building pseudofeed and installing it into .venv, with what the tests need'
	@$(REINSTALL) --no-build-isolation '.[embedded,plot,arrow,calendar]' --group test --group lint
	@mkdir -p build && touch .venv/.demo $@

.venv/.bench: .venv/.test
	@echo 'installing what the benchmarks need'
	@$(INSTALL) --group bench
	@touch $@

.venv/.tools: .venv/.made pyproject.toml
	@echo 'installing the build tools into .venv'
	@$(UPGRADE_PIP)
	@$(INSTALL) $$($(BIN)/python -c 'import shlex, tomllib; print(shlex.join(tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]))' | tr -d "'") 'cmake>=3.26' ninja
	@touch $@

.venv/.made:
	@command -v "$${CXX:-c++}" > /dev/null || command -v g++ > /dev/null || command -v clang++ > /dev/null || { \
	    echo "no C++ compiler: install g++ or clang++ (Debian: apt-get install g++), or set CXX" >&2; exit 1; }
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -n "$(UV)" ]; then \
	    $(UV_LIKE_PIP); "$(UV)" venv --quiet --clear --python "$${found:->=3.11}" .venv; \
	elif [ -z "$$found" ]; then \
	    echo "no Python >= 3.11 on PATH: install one, or say make PYTHON=/path/to/python3.11" >&2; exit 1; \
	elif ! "$$found" -m venv --clear .venv; then \
	    echo "$$found cannot make virtual environments (Debian: apt-get install python3-venv)" >&2; exit 1; \
	fi
	@touch $@
