package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestCensus(t *testing.T) {
	folder := t.TempDir()
	for name, source := range map[string]string{
		"a.py":               "'''doc'''\nimport os, sys\nclass A:\n    def f(self, x):\n        if x and self: return [i for i in x if i]\n",
		"b.py":               "def g():\n    'doc'\n    while True: pass\n",
		"broken.py":          "x =\n",
		"site-packages/c.py": "import left.out",
		"text.txt":           "no Python",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, jobs := range []int{1, 3} {
		c, err := run(folder, jobs)
		if err != nil {
			t.Fatal(err)
		}
		want := counts{Lines: 8, Functions: 2, Classes: 1, Imports: 1, Documented: 2, Documentable: 5, Complexity: 7}
		if c.Files != 3 || c.counts != want {
			t.Errorf("%d interpreters: got %d files, %+v, want %+v", jobs, c.Files, c.counts, want)
		}
		worst := []function{{"A.f", "a.py", 4, 5}, {"g", "b.py", 1, 2}}
		if !reflect.DeepEqual(c.MostComplex, worst) {
			t.Errorf("got %v, want %v", c.MostComplex, worst)
		}
		failures := []failure{{"broken.py", "SyntaxError: invalid syntax, line 1"}}
		if !reflect.DeepEqual(c.Failures, failures) {
			t.Errorf("got %v, want %v", c.Failures, failures)
		}
		if (jobs > 1) != (c.Identical != nil && *c.Identical) {
			t.Errorf("%d interpreters: identical %v", jobs, c.Identical)
		}
		var text bytes.Buffer
		c.print(&text)
		if !strings.Contains(text.String(), "\nwith docstring          40.0 %\nmean complexity           3.50\n") {
			t.Errorf("got:\n%s", text.String())
		}
	}
	if _, err := run(filepath.Join(folder, "nothing"), 1); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if _, err := run(t.TempDir(), 1); err == nil || !strings.Contains(err.Error(), "no .py files in") {
		t.Errorf("got %v", err)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}
