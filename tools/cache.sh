# What the scripts beside this have in common, which read it: words, and a folder of things that all checkouts share. POSIX sh.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
run() { "$@" </dev/null >&2; } # stdout carries nothing but the result

# Empty: there is no place for it.
cache=${SUBPY_CACHE:-${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}}
[ -n "${SUBPY_CACHE:-}" ] || cache=${cache:+$cache/subpy}
case $cache in
'' | /*) ;;
*) cache=$PWD/$cache ;;
esac

writable() {
    [ -n "$cache" ] || die "no folder to keep $1 in: set HOME, or SUBPY_CACHE=/some/folder"
    mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || die "cannot write to $cache: set SUBPY_CACHE=/another/folder"
}

# keep TREE WHAT: has the function `make` make the folder, unless it is there. `make` may use the folder "$tmp". Whatever happens
# on the way, nobody ever sees half a tree: it is renamed into place. The lock only saves a second run the work; without flock
# both do it and the first one wins.
keep() {
    [ ! -d "$1" ] || return 0
    writable "$2"
    if have flock; then
        exec 9>"$1.lock"
        if ! flock -n 9; then
            say "waiting for another ${0##*/} that holds $1.lock"
            flock 9
        fi
    fi
    [ ! -d "$1" ] || { unlock; return 0; }
    tmp=
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    tmp=$(mktemp -d "$1.tmp.XXXXXX")
    make "$tmp/tree"
    mv "$tmp/tree" "$1" 2>/dev/null || [ -d "$1" ] || die "cannot write to $cache"
    rm -rf "$1/tree" # when another run was first, mv has put ours inside its folder
    rm -rf "$tmp"
    tmp=
    unlock
}

# What is begun later has the descriptor, too, if it stays open, and may live longer.
unlock() { exec 9>&-; }
