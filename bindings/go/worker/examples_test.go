package worker_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The client of docs/worker.md in Python, with the wheel that tools/get-wheels gets.
func TestTheClientInPython(t *testing.T) {
	python := os.Getenv("SUBPY_PYTHON")
	if python == "" {
		t.Skip("SUBPY_PYTHON is not set")
	}
	packages, err := exec.Command("../../../tools/get-wheels", "nats").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no nats-py: ", err)
	}
	r := newRoom(t, "jobs.py", basic+"def fail(): raise ValueError('no')\n")
	r.start()
	run := func(function, args string) (string, error) {
		command := exec.CommandContext(r.ctx, python, "examples/submit.py", r.url, string(r.queue), function, args)
		command.Env = append(os.Environ(), "PYTHONPATH="+strings.TrimSpace(string(packages)), "LD_LIBRARY_PATH=")
		output, err := command.CombinedOutput()
		return string(output), err
	}
	if output, err := run("jobs.add", "[20, 22]"); err != nil || output != "42\n" {
		t.Errorf("%q (%v)", output, err)
	}
	if output, err := run("jobs.fail", "[]"); err == nil || !strings.Contains(output, "RuntimeError: exception: no") {
		t.Errorf("%q (%v)", output, err)
	}
}
