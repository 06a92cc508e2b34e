# What the checks of the Go modules share, sourced by them with $root, this checkout, and $tests, what they are called, set.
#
# Uses, when they are set: PKG_CONFIG_PATH, to find subpy.pc, and SUBPY_LIBRARY, the library that is opened without cgo
# (default for both: target/release of this checkout), and SUBPY_PYTHON (default: what tools/get-python finds or gets).
# shellcheck shell=bash

missing() {
    if [ "${CI:-}" = true ]; then
        echo "$tests need $1: install $2" >&2
        exit 1
    fi
    echo "skipped: $tests: $1 is missing (install $2)"
    exit 0
}

# check COMMAND...: what fails makes status 1, and ends nothing.
status=0
check() {
    echo "==== $*"
    "$@" </dev/null || { echo "FAILED: $*" >&2; status=1; }
}

formatted() {
    local files
    files=$(gofmt -l .) && [ -z "$files" ] || { echo "gofmt would change: $files"; return 1; }
}

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.7.0

target=${CARGO_TARGET_DIR:-$root/target}
export PKG_CONFIG_PATH=${PKG_CONFIG_PATH:-$target/release}
export SUBPY_LIBRARY=${SUBPY_LIBRARY:-$target/release/libsubpy.so}
SUBPY_PYTHON=${SUBPY_PYTHON:-$("$root/tools/get-python")} || exit
export SUBPY_PYTHON GOWORK=off
