# A thin front for cmake, ctest, pytest and podman. `make help` lists what there is.
PYTHON := /usr/bin/python3
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
UNIT_DIR ?= /etc/systemd/system
IMAGE ?= localhost/sallyport
SOCKET_UNITS := $(notdir $(wildcard compose/systemd/*.socket))
PYTEST_FLAGS ?=
PYTEST = $(PYTHON) -m pytest $(PYTEST_FLAGS)
# Side by side, as most tests wait most of the time; a test that hangs fails by itself.
E2E = $(PYTHON) -m pytest -n $(E2E_JOBS) --timeout $(E2E_TIMEOUT) $(PYTEST_FLAGS) tests/e2e
GUARD = SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(PYTHON) -m pytest --timeout $(E2E_TIMEOUT) $(PYTEST_FLAGS) tests/guard
E2E_JOBS ?= 2
E2E_TIMEOUT ?= 300
BENCH_FLAGS ?=

.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: help build build-packages test-packages demo unit guard guard-baseline e2e test test-long test-asan test-tsan test-soak \
  test-container bench bench-docs bench-test container fuzz format tidy install uninstall clean

help:
	@echo 'make              builds build/release/sallyport (installs missing Debian packages first)'
	@echo 'make demo         runs a gateway with sample servers on unprivileged ports'
	@echo 'make test         unit tests, fuzz corpora, system calls and instructions, end-to-end tests'
	@echo 'make guard        counts the system calls and instructions of requests; make guard-baseline writes new figures'
	@echo 'make test-long    the same under sanitizers, fuzzing, Debian 13, the container'
	@echo 'make fuzz         each fuzz target for a minute (SECONDS_EACH=600 for ten)'
	@echo 'make bench        the performance measurements; make bench-docs writes them to docs/performance.md too'
	@echo 'make container    builds the image $(IMAGE) with podman'
	@echo 'make format       clang-format over the source'
	@echo 'make tidy         clang-tidy over the source'
	@echo 'make install      the program, its systemd units and documents (PREFIX=$(PREFIX), DESTDIR)'
	@echo 'make clean        removes build/'

# ninja runs cmake again by itself when a CMakeLists.txt or the set of sources changed. The presets configure the unit tests
# too, so Catch2 is needed even for a plain build; what the tests run against comes with `make test`.
build/%/build.ninja: | build-packages
	cmake --preset $*

build: build/release/build.ninja
	ninja -C build/release -j$(JOBS) sallyport

build-packages:
	@scripts/dependencies build unit

test-packages:
	@scripts/dependencies build test

demo: build
	@scripts/dependencies demo
	build/release/sallyport demo

unit: test-packages build/release/build.ninja
	ninja -C build/release -j$(JOBS)
	ctest --test-dir build/release --output-on-failure -j$(JOBS)

# What requests cost, counted: tests/guard. The other target writes what it finds to baseline.json.
guard: test-packages build
	$(GUARD)

guard-baseline: test-packages build
	$(GUARD) --update-baseline

# The summary of pytest is the last thing this prints.
e2e: test-packages build
	SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(E2E)

test: unit
	@$(MAKE) --no-print-directory guard
	@$(MAKE) --no-print-directory bench-test
	@$(MAKE) --no-print-directory e2e

test-asan test-tsan: E2E_TIMEOUT = 1200
test-asan test-tsan: test-%: test-packages
	cmake --preset $*
	ninja -C build/$* -j$(JOBS)
	$(SANITIZER_OPTIONS) ctest --test-dir build/$* --output-on-failure -j$(JOBS)
	$(SANITIZER_OPTIONS) SALLYPORT_BINARY=$(CURDIR)/build/$*/sallyport $(E2E)

SANITIZER_OPTIONS := ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
  UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=second_deadlock_stack=1

test-soak: build
	SALLYPORT_WATCH_SECONDS=120 SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(PYTEST) tests/e2e/test_kubectl.py
	SALLYPORT_RELOADS=50 SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(PYTEST) tests/e2e/test_reload_under_load.py
	SALLYPORT_DNS_DOWN_SECONDS=60 SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(PYTEST) -n 6 tests/e2e/test_dns.py -k down_changes_nothing
	@if [ -d tests/soak ]; then SALLYPORT_BINARY=$(CURDIR)/build/release/sallyport $(PYTEST) tests/soak; \
	else echo 'test-soak: there is no tests/soak'; fi

test-container:
	scripts/dependencies container
	$(PYTEST) tests/container

test-long: test
	@$(MAKE) --no-print-directory test-asan
	@$(MAKE) --no-print-directory test-tsan
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory test-soak
	@$(MAKE) --no-print-directory test-container

bench: build
	scripts/dependencies bench
	tests/bench/run $(BENCH_FLAGS)

# What the harness of the measurements concludes from samples; measures nothing.
bench-test: test-packages
	$(PYTEST) tests/bench

bench-docs: build
	scripts/dependencies bench
	tests/bench/run --publish $(BENCH_FLAGS)

# The OCI image format has no HEALTHCHECK; the docker format has.
container:
	podman build --format docker -t $(IMAGE) .

fuzz:
	scripts/dependencies build fuzz
	scripts/fuzz

format:
	scripts/dependencies lint
	git ls-files '*.h' '*.cc' | xargs clang-format -i

tidy: build/dev/build.ninja
	scripts/dependencies lint
	run-clang-tidy -quiet -p build/dev -j$(JOBS) '$(CURDIR)/(gateway|layers|certs)/'

install: build
	DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)
	install -d $(DESTDIR)$(UNIT_DIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/share/doc/sallyport/docs/backends
	sed 's|/usr/local/|$(PREFIX)/|' compose/systemd/sallyport.service >$(DESTDIR)$(UNIT_DIR)/sallyport.service
	chmod 644 $(DESTDIR)$(UNIT_DIR)/sallyport.service
	install -m 644 $(addprefix compose/systemd/,$(SOCKET_UNITS)) $(DESTDIR)$(UNIT_DIR)/
	install -m 644 compose/systemd/sallyport.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/sallyport.conf
	install -m 644 README.md CHANGELOG.md LICENSE compose/systemd/notify-reload.conf $(DESTDIR)$(PREFIX)/share/doc/sallyport/
	install -m 644 docs/*.md $(wildcard docs/*.svg) $(DESTDIR)$(PREFIX)/share/doc/sallyport/docs/
	install -m 644 docs/backends/*.md $(DESTDIR)$(PREFIX)/share/doc/sallyport/docs/backends/
	cp -R examples $(DESTDIR)$(PREFIX)/share/doc/sallyport/

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/sallyport $(DESTDIR)$(PREFIX)/share/doc/sallyport \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/sallyport.conf $(addprefix $(DESTDIR)$(UNIT_DIR)/,sallyport.service $(SOCKET_UNITS))

clean:
	rm -rf build
