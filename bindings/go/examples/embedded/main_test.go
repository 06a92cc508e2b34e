package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/subpy/subpy/bindings/go/subpy"
)

func TestEmbedded(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("SUBPY_PYTHON", "/nonexistent") // which must not count
	t.Setenv("PATH", "/nonexistent")
	folder, err := start()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(folder, cache) {
		t.Errorf("the files are in %s", folder)
	}
	if library := subpy.PythonLibrary(); !strings.HasPrefix(library, folder) {
		t.Errorf("the libpython is %s", library)
	}
	if version := subpy.PythonVersion(); version != "3.14.6" {
		t.Errorf("it is Python %s", version)
	}
	if again, err := start(); again != folder || err != nil {
		t.Errorf("a second start: %s, %v", again, err)
	}

	interp, err := subpy.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := interp.Exec("import ssl, hashlib, sqlite3, json, asyncio, ctypes, sys"); err != nil {
		t.Error(err)
	}
	path, err := subpy.EvalAs[[]string](interp, "sys.path")
	if err != nil || len(path) == 0 || slices.ContainsFunc(path, func(p string) bool { return !strings.HasPrefix(p, folder) }) {
		t.Errorf("sys.path is %q, %v", path, err)
	}
	if n, err := subpy.EvalAs[int](interp, "sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0]"); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := subpy.Shutdown(); err != nil {
		t.Error(err)
	}
}
