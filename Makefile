# `make help` lists the targets. All of them are thin: cargo does the work, tools/get-python finds or gets a CPython.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

target := $(or $(CARGO_TARGET_DIR),target)
rust := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: build demo test header bench-call clean help need-cargo need-cc need-valgrind

build: need-cargo ## libsubpy.so and libsubpy.a in target/release (the default)
	cargo build --release

demo: need-cargo need-cc ## build examples/census.c and run it; ARGS="-j 8 folder" are its arguments
	@python=$$(tools/get-python); \
	cargo build --release; \
	mkdir -p "$(target)/examples"; \
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude examples/census.c -o "$(target)/examples/census" \
		-L"$(target)/release" -lsubpy -lpthread -Wl,-rpath,'$$ORIGIN/../release'; \
	SUBPY_PYTHON=$$python "$(target)/examples/census" $(ARGS)

# A test program that crashes prints no result line, so a failing cargo counts as at least one failed test.
test: need-cargo need-cc need-valgrind ## format, lints, all tests; SUBPY_TEST_GCC=1 repeats them on a second CPython
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	@pythons=$$(tools/get-python); \
	if [ "$${SUBPY_TEST_GCC:-}" = 1 ]; then pythons+=$$'\n'$$(tools/get-python gcc); fi; \
	log="$(target)/test.log"; : >"$$log"; status=0; \
	while read -r python; do \
		echo "==== tests on $$python"; \
		SUBPY_PYTHON=$$python SUBPY_TEST_PYTHON=$$python cargo test --no-fail-fast </dev/null 2>&1 \
			| tee -a "$$log" || status=1; \
	done <<<"$$pythons"; \
	awk -v status=$$status ' \
		/test result:/ { for (i = 2; i <= NF; i++) { if ($$i == "passed;") passed += $$(i-1); if ($$i == "failed;") failed += $$(i-1) } } \
		END { if (status && !failed) failed = 1; printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$$log"

header: need-cargo ## refresh include/subpy.h from the Rust source
	SUBPY_UPDATE_HEADER=1 cargo build

bench-call: need-cargo need-cc ## calls, and interpreters that come and go, beside the plain C API and concurrent.interpreters
	@python=$$(tools/get-python); \
	cargo build --release; \
	benches/run "$(target)" "$$python"

clean: need-cargo ## remove what was built; a downloaded CPython stays (tools/get-python --help says where)
	cargo clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do printf 'make %-10s %s\n' "$$name" "$$text"; done

need-cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust >= $(rust) (https://rustup.rs)" >&2; exit 1; }

need-cc:
	@command -v $(firstword $(CC)) >/dev/null || { echo "$(firstword $(CC)) is missing: install a C compiler (the package gcc or clang) or set CC" >&2; exit 1; }

# Optional on a developer's machine, not in CI.
need-valgrind:
	@command -v valgrind >/dev/null || { \
		[ "$${CI:-}" != true ] || { echo "valgrind is missing: install the package valgrind" >&2; exit 1; }; \
		echo "valgrind is missing: the tests that need it are skipped (install the package valgrind)" >&2; }
