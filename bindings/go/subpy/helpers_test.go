package subpy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// children are what this test binary does, by its name in the environment, when a test needs a process of its own.
var children = map[string]func(){}

const childVariable = "SUBPY_GO_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		children[name]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child prepares to run one of the children.
func child(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	if children[name] == nil {
		t.Fatalf("there is no child %q", name)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	return cmd
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// create returns an interpreter in which code was run, to be closed at the end of the test.
func create(t testing.TB, code string, opts ...Option) *Interpreter {
	t.Helper()
	interp, err := Create(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := interp.Close(); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error("closing:", err)
		}
	})
	if err := interp.Exec(code); err != nil {
		t.Fatal(err)
	}
	return interp
}

// skipOutside skips a test that needs a file of subpy's repository, which a copy of the module alone does not have.
func skipOutside(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat("../../../Cargo.toml"); err == nil {
		t.Fatalf("%s is missing", path)
	}
	t.Skipf("%s is missing: this is no checkout of subpy", path)
}

func wantStatus(t *testing.T, what string, err error, want Status) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func wantMessage(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want it to say %q", what, err, want)
	}
}

func sprint(v any) string {
	return fmt.Sprint(v)
}

// openFiles is how many files the process has open.
func openFiles() int {
	files, err := os.ReadDir("/proc/self/fd")
	check(err)
	return len(files)
}
