package worker_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/subpy/subpy/bindings/go/worker"
)

// packages is a folder with the packages of Python that tests use.
func packages(t *testing.T) string {
	t.Helper()
	folder, err := exec.Command("../../../tools/get-wheels", "worker").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there are no packages for Python: ", err)
	}
	return strings.TrimSpace(string(folder))
}

// The client of docs/worker.md in Python.
func TestTheClientInPython(t *testing.T) {
	python := os.Getenv("SUBPY_PYTHON")
	if python == "" {
		t.Skip("SUBPY_PYTHON is not set")
	}
	path := packages(t)
	r := newRoom(t, "jobs.py", basic+"def fail(): raise ValueError('no')\n")
	r.start()
	run := func(function, args string) (string, error) {
		command := exec.CommandContext(r.ctx, python, "examples/submit.py", r.url, string(r.queue), function, args)
		command.Env = append(os.Environ(), "PYTHONPATH="+path, "LD_LIBRARY_PATH=")
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

// The trace of a job is the current one of OpenTelemetry's API while its function runs, and no longer.
func TestOpenTelemetryInPython(t *testing.T) {
	code := fmt.Sprintf("import sys\nsys.path.append(%q)\nfrom opentelemetry import trace\n", packages(t)) +
		"def ids():\n    at = trace.get_current_span().get_span_context()\n    return f'{at.trace_id:032x} {at.span_id:016x}'\n"
	r := newRoom(t, "jobs.py", code)
	r.start()
	if got := r.value(traced(call("jobs.ids"))); got != `"0af7651916cd43dd8448eb211c80319c b7ad6b7169203331"` {
		t.Error(got)
	}
	if got := r.value(call("jobs.ids")); strings.Trim(got, `0 "`) != "" {
		t.Error(got)
	}
}

// Other distributions put something into the package opentelemetry that is not its API.
func TestOpenTelemetryWithoutItsAPI(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	if err := os.MkdirAll(r.path("opentelemetry/proto"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.start(func(o *worker.Options) { o.Serve = []string{"jobs"} })
	if got := r.value(traced(call("jobs.add", 20, 22))); got != "42" {
		t.Error(got)
	}
}
