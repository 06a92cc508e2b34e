# What the scripts for the bindings share, which source this. Each installs a package where nothing else of subpy's is, without a
# compiler, and runs there: the first program of its page, a program with an interpreter in a process, the conformance table in
# interpreters of the process and in processes of their own, and the first program once more where there is no CPython.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

chmod 755 "$work"
unset SUBPY_LIBRARY SUBPY_PYTHON PYTHONPATH PYTHONHOME VIRTUAL_ENV LUA_PATH LUA_CPATH NODE_PATH NODE_OPTIONS CLASSPATH
cases=$root/conformance/cases.json

# Where tests look for a program that they need on this machine.
needs() {
    command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

# there FILE: a package is there.
there() {
    [ -f "$1" ] || fail "$1 is missing, run: make dist"
}

# page PAGE LANGUAGE: the first piece of code in this language below the heading of the first program of a page of docs/.
page() {
    awk '/^## (A|First) program$/ { below = 1 } below' "$root/docs/$1" >"$work/below"
    block "$work/below" "$2"
}

# table: the conformance table has run twice in the last room, here and in processes. Passes on what it says of itself.
table() {
    grep -E '^(conformance|skipped):' "$work/said" || :
    local ran
    ran=$(sed -n 's/^conformance: \([0-9]*\) cases in [^,]*\(, in processes\)\?$/\1\2/p' "$work/said" | paste -sd ';')
    [[ $ran =~ ^([0-9]+)\;([0-9]+),\ in\ processes$ ]] && [ "${BASH_REMATCH[1]}" -gt 150 ] && [ "${BASH_REMATCH[2]}" -gt 150 ] ||
        fail "the conformance table did not run here and in processes: $(cat "$work/said" "$work/stderr")"
}
