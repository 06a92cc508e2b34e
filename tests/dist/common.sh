# What the scripts of this folder share. Each is called by tests/dist.rs as SCRIPT ROOM DIST: ROOM is tools/dist/room, DIST
# the folder with what is tried, and SUBPY_TEST_PYTHON names a CPython of this machine.
# shellcheck shell=bash
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 ROOM DIST" >&2; exit 2; }
room=$1 dist=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
python=$(dirname "$(dirname "$(realpath "$SUBPY_TEST_PYTHON")")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/files"

fail() {
    echo "$0: $*" >&2
    exit 1
}

# block FILE LANGUAGE: the first piece of code in this language that a page shows.
block() {
    awk -v fence="\`\`\`$2" '$0 == fence { inside = 1; next } inside && /^```/ { exit } inside' "$1"
}

# no_executable_stack PROGRAM: lines of sh that fail if the program that they are run for wants a stack that can be executed. One
# object file without .note.GNU-stack is enough for that.
no_executable_stack() {
    printf 'readelf -lW %s >headers\ngrep -E "GNU_STACK .* RW +0x" headers >/dev/null || { cat headers; exit 1; }\n' "$1"
}

# in_room PACKAGES SCRIPT: runs a script of sh in an empty room with $work/files as /files and a CPython, which is on PATH. What
# it prints goes to $work/said.
in_room() {
    "$room" --with "$1" --offline --copy "$work/files:/files" --copy "$python:/opt/python" -- \
        sh -euc "PATH=/opt/python/bin:\$PATH
$2" >"$work/said" 2>"$work/stderr" || fail "status $?: $(cat "$work/said" "$work/stderr")"
}

# in_rooms PACKAGES SCRIPT EXPECTED: runs a script of sh twice, each time in an empty room with the folder $work/files as
# /files. Without a CPython it has to say what to do, and not EXPECTED; with one, which is on PATH, it prints EXPECTED.
# The time from the files to the first output, where the script says `timed`, or to its end, goes to stdout.
in_rooms() {
    local packages=$1 script=$2 expected=$3 said text status=0
    script="began=\$(date +%s%N)
timed() {
    [ -z \"\${over:-}\" ] || return 0
    over=\$(date +%s%N)
    times >/tmp/times
    echo \"took \$(((over - began) / 1000000)) ms, of a processor \$(tail -n 1 /tmp/times)\" >&2
}
$script
timed"
    said=$("$room" --with "$packages" --offline --copy "$work/files:/files" -- sh -euc "$script" 2>&1) || status=$?
    [[ $'\n'$said$'\n' != *$'\n'$expected$'\n'* ]] || fail "it runs without any CPython: $said"
    for text in "no CPython 3.14.1 or newer with a shared libpython was found" "uv python install 3.14" SUBPY_PYTHON; do
        [[ $said == *"$text"* ]] || fail "without a CPython it does not say '$text': $said"
    done
    status=0
    said=$("$room" --with "$packages" --offline --copy "$work/files:/files" --copy "$python:/opt/python" -- \
        sh -euc "PATH=/opt/python/bin:\$PATH
$script" 2>"$work/stderr") || status=$?
    [ "$status" = 0 ] || fail "status $status: $said $(cat "$work/stderr")"
    [ "$said" = "$expected" ] || fail "it printed '$said', not '$expected': $(cat "$work/stderr")"
    echo "$(basename "$0"): $(grep '^took ' "$work/stderr")"
}
