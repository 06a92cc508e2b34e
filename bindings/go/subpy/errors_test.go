package subpy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestStatuses(t *testing.T) {
	known := 0
	for status := Status(-1); status > -100; status-- {
		if status.String() == "SUBPY_ERROR_UNKNOWN" {
			continue
		}
		if statusTexts[status] == "" {
			t.Errorf("%v (%d) has no text", status, status)
		}
		known++
	}
	if known != len(statusTexts) {
		t.Errorf("the library has %d statuses, this package %d", known, len(statusTexts))
	}
	if s := ErrNotFound.String(); s != "SUBPY_ERROR_NOT_FOUND" {
		t.Error(s)
	}
	if s := ErrNotFound.Error(); s != "subpy: no such interpreter or thread" {
		t.Error(s)
	}
	if s := Status(-99).Error(); s != "subpy: error -99" {
		t.Error(s)
	}
}

func TestExecutionFailed(t *testing.T) {
	interp := create(t, `
class Outer:
    class Error(ValueError):
        def __str__(self): return "first line\nsecond \0 line"
def f(x):
    raise Outer.Error
def g():
    f(1)
`)
	_, err := interp.Call("g")
	wantStatus(t, "an exception", err, ErrExecutionFailed)
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) {
		t.Fatalf("got %T", err)
	}
	want := Exception{
		Type:      "Error",
		Qualname:  "Outer.Error",
		Module:    "__main__",
		Message:   "first line\nsecond \x00 line",
		Formatted: "Outer.Error: first line\nsecond \x00 line",
		Display: "Traceback (most recent call last):\n" +
			"  File \"<script>\", line 8, in g\n" +
			"    f(1)\n" +
			"    ~^^^\n" +
			"  File \"<script>\", line 6, in f\n" +
			"    raise Outer.Error\n" +
			"Outer.Error: first line\nsecond \x00 line",
		Frames: []Frame{
			{File: "<script>", Function: "g", Source: "    f(1)", Line: 8, Column: 5, EndLine: 8, EndColumn: 9},
			{File: "<script>", Function: "f", Source: "    raise Outer.Error", Line: 6, Column: 5, EndLine: 6, EndColumn: 22},
		},
		text:  "Outer.Error: first line",
		about: interp.handle,
	}
	if !reflect.DeepEqual(failed.Exception, want) {
		t.Errorf("got  %#v\nwant %#v", failed.Exception, want)
	}
	if text := err.Error(); text != "Outer.Error: first line" {
		t.Errorf("Error() is %q", text)
	}
	if failed.Interpreter() != interp {
		t.Error("the exception is about another interpreter")
	}
	if _, isExit := failed.ExitStatus(); isExit {
		t.Error("it is no SystemExit")
	}
	if err := interp.Close(); err != nil {
		t.Fatal(err)
	}
	if failed.Message != want.Message || failed.Interpreter() != interp {
		t.Error("the exception changed when its interpreter was closed")
	}
	if _, err := failed.Interpreter().ID(); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestExceptionsInOneLine(t *testing.T) {
	made := &ExecutionFailedError{Exception: Exception{Formatted: "ValueError: a\nb"}}
	if made.Error() != "ValueError: a" {
		t.Errorf("%q", made.Error())
	}
	if text := fmt.Sprint(fmt.Errorf("outside: %w", made)); text != "outside: ValueError: a" {
		t.Errorf("%q", text)
	}
}

func TestExit(t *testing.T) {
	interp := create(t, "import sys")
	for source, want := range map[string]int{"sys.exit()": 0, "sys.exit(3)": 3, "sys.exit('bye')": 1, "raise SystemExit(-1)": -1} {
		var failed *ExecutionFailedError
		if err := interp.Exec(source); !errors.As(err, &failed) {
			t.Errorf("%s: got %v", source, err)
		} else if status, ok := failed.ExitStatus(); !ok || status != want {
			t.Errorf("%s: exit status %d, %t", source, status, ok)
		}
	}
}

func TestSyntaxError(t *testing.T) {
	interp := create(t, "")
	err := interp.Exec("x = 1\nif x ==:\n  pass")
	wantStatus(t, "a syntax error", err, ErrSyntax)
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got %T", err)
	}
	if syntax.Type != "SyntaxError" || syntax.Line != 2 || syntax.Column != 8 || strings.TrimSpace(syntax.Text) != "if x ==:" {
		t.Errorf("got %#v", syntax)
	}
	if !strings.Contains(syntax.Display, "if x ==:") || !strings.HasPrefix(err.Error(), "SyntaxError: invalid syntax") {
		t.Errorf("got %q and %q", syntax.Display, err)
	}
	var failed *ExecutionFailedError
	if errors.As(err, &failed) {
		t.Error("it is an ExecutionFailedError, too")
	}
	// One that comes while something runs.
	if err := interp.Exec("exec('x =')"); errors.As(err, &syntax) && !errors.As(err, &failed) {
		t.Errorf("got %T", err)
	}
	if err := interp.Exec("x"); !errors.As(err, &failed) || failed.Type != "NameError" {
		t.Errorf("something ran: %v", err)
	}
}

func TestError(t *testing.T) {
	interp := create(t, "")
	_, err := interp.Eval("{1}")
	var plain *Error
	if !errors.As(err, &plain) || plain.Status != ErrNotShareable || plain.Message != "result: set cannot be shared" {
		t.Errorf("got %#v", err)
	}
	if err.Error() != "subpy: result: set cannot be shared" {
		t.Errorf("got %q", err)
	}
	_, err = Find(1 << 40)
	if !errors.As(err, &plain) || plain.Interpreter() != nil {
		t.Errorf("got %#v", err)
	}
}

// A frame has its source line where the source is known, and the place in it.
func TestFrameSource(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "module_with_source.py"), []byte("def divide(a, b):\n    return ('\u00e9', a /\n        b)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	interp := create(t, "", WithPath(folder))
	_, err := interp.Call("module_with_source:divide", 1, 0)
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || len(failed.Frames) != 1 {
		t.Fatalf("got %v", err)
	}
	want := Frame{
		File: filepath.Join(folder, "module_with_source.py"), Function: "divide", Source: "    return ('\u00e9', a /",
		Line: 2, Column: 18, EndLine: 3, EndColumn: 10,
	}
	if failed.Frames[0] != want {
		t.Errorf("got  %#v\nwant %#v", failed.Frames[0], want)
	}
}

func TestDeepTraceback(t *testing.T) {
	interp := create(t, "import sys\nsys.setrecursionlimit(5000)\ndef f(n):\n  if n: f(n - 1)\n  else: 1/0")
	_, err := interp.Call("f", 2000)
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || len(failed.Frames) != 2001 || failed.Frames[2000].Line != 5 || failed.Frames[2000].Function != "f" {
		t.Errorf("got %v", err)
	}
	_, err = interp.Call("f", 1_000_000)
	if !errors.As(err, &failed) || failed.Type != "RecursionError" {
		t.Errorf("got %v", err)
	}
}
