package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/subpy/subpy/bindings/go/subpy"
)

// The wheels are for CPython 3.14. Without a network there are none.
func TestNumpy(t *testing.T) {
	wheels, err := exec.Command("../../../../tools/get-wheels", "numpy").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("tools/get-wheels: ", err)
	}
	t.Setenv("PYTHONPATH", strings.TrimSpace(string(wheels)))
	d, err := run(1024, 1)
	if version := subpy.PythonVersion(); err != nil && !strings.HasPrefix(version, "3.14.") {
		t.Skip("tools/get-wheels has numpy for CPython 3.14, not for ", version)
	}
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := d.print(&text); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"\n1048576 numbers compared with those of Go: all are the same\n",
		"\nthe image has 4.0 MiB and is there once: nothing was copied\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}
