package subpy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestCapturedOutput(t *testing.T) {
	var stdout, stderr strings.Builder
	interp := create(t, "import sys, threading, atexit", WithOutput(&stdout, &stderr))
	want := func(what, out, err string) {
		t.Helper()
		if stdout.String() != out || stderr.String() != err {
			t.Errorf("%s: got %q and %q", what, stdout.String(), stderr.String())
		}
		stdout.Reset()
		stderr.Reset()
	}
	run := func(code string) {
		t.Helper()
		if err := interp.Exec(code); err != nil {
			t.Error(err)
		}
	}
	run("print('one', 'é')\nprint('two', file=sys.stderr)")
	want("both", "one é\n", "two\n")
	run("t = threading.Thread(target=print, args=('thread',))\nt.start()\nt.join()")
	want("a thread", "thread\n", "")

	var own strings.Builder
	ctx := ContextWithOutput(t.Context(), &own, nil)
	if err := interp.ExecContext(ctx, "print('own')\nprint('lost', file=sys.stderr)"); err != nil {
		t.Error(err)
	}
	if own.String() != "own\n" {
		t.Errorf("of the run: %q", own.String())
	}
	want("the run's own", "", "")
	thread, err := interp.CallInThreadContext(ctx, "builtins:print", "joined")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := thread.Join(); err != nil || own.String() != "own\njoined\n" {
		t.Errorf("of a thread: %q, %v", own.String(), err)
	}

	if err := interp.SetOutput(&own, &own); err != nil {
		t.Fatal(err)
	}
	own.Reset()
	run("print('a')\nprint('b', file=sys.stderr)")
	if own.String() != "a\nb\n" {
		t.Errorf("both in one: %q", own.String())
	}
	if err := interp.SetOutput(&stdout, nil); err != nil {
		t.Fatal(err)
	}
	run("print('lost', file=sys.stderr)\natexit.register(print, 'bye')")
	want("discarded", "", "")
	if err := interp.Close(); err != nil {
		t.Error(err)
	}
	want("at exit", "bye\n", "")
	if count := countOf(&handles.all); count != 0 {
		t.Errorf("%d handles are left", count)
	}
	wantStatus(t, "a closed interpreter", interp.SetOutput(&stdout, &stderr), ErrNotFound)
	wantStatus(t, "a closed interpreter", interp.ResetOutput(), ErrNotFound)
	if count := countOf(&handles.all); count != 0 {
		t.Errorf("%d handles are left", count)
	}
}

type failingWriter struct{ calls int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.calls++; w.calls%2 == 0 {
		panic("no")
	}
	return 0, errors.New("no")
}

// A writer that fails or panics never breaks print.
func TestFailingWriter(t *testing.T) {
	w := new(failingWriter)
	interp := create(t, "import sys", WithOutput(w, w), WithUnbuffered())
	if err := interp.Exec("for i in range(10):\n  print(i)\n  print(i, file=sys.stderr)\nsys.stdout.flush()"); err != nil {
		t.Error(err)
	}
	if w.calls < 20 {
		t.Errorf("it was called %d times", w.calls)
	}
}

// A writer may run more, in the interpreter that prints and in others.
func TestWriterRuns(t *testing.T) {
	interp, other := create(t, ""), create(t, "lines = []\ndef append(line): lines.append(line)")
	err := interp.SetOutput(writerFunc(func(p []byte) (int, error) {
		_, err := other.Call("append", string(p))
		if err == nil {
			err = interp.Exec("seen = True")
		}
		if err != nil {
			t.Error(err)
		}
		return len(p), err
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := interp.Exec("print('x')"); err != nil {
		t.Error(err)
	}
	if lines, err := EvalAs[[]string](other, "lines"); sprint(lines) != "[x\n]" || err != nil {
		t.Errorf("got %q, %v", lines, err)
	}
	if seen, err := EvalAs[bool](interp, "seen"); !seen || err != nil {
		t.Errorf("%t, %v", seen, err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestNoStdin(t *testing.T) {
	interp := create(t, "", WithNoStdin(), WithOutput(io.Discard, io.Discard))
	if failed := raised(t, interp, "input('? ')"); failed.Type != "EOFError" {
		t.Errorf("got %v", failed)
	}
}

// Many interpreters print at once; each has its own output, and no line is torn.
func TestOutputOfMany(t *testing.T) {
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			var out strings.Builder
			interp := create(t, "import threading", WithOutput(&out, nil), WithBusy(BusyShare))
			var runs sync.WaitGroup
			for range 4 {
				runs.Go(func() {
					var own strings.Builder
					ctx := ContextWithOutput(t.Context(), &own, &own)
					for n := range 50 {
						if err := interp.Exec(fmt.Sprintf("print(%d)", i)); err != nil {
							t.Error(err)
						}
						own.Reset()
						if err := interp.ExecContext(ctx, fmt.Sprintf("print('own', %d)", n)); err != nil {
							t.Error(err)
						}
						if own.String() != fmt.Sprintf("own %d\n", n) {
							t.Errorf("got %q", own.String())
						}
					}
				})
			}
			runs.Wait()
			if err := interp.Close(); err != nil {
				t.Error(err)
			}
			if out.String() != strings.Repeat(fmt.Sprintln(i), 200) {
				t.Errorf("got %q", out.String())
			}
		})
	}
	group.Wait()
}

func init() {
	children["reset output"] = func() {
		interp, err := Create(WithOutput(io.Discard, io.Discard))
		check(err)
		check(interp.Exec("print('lost')"))
		check(interp.ResetOutput())
		check(interp.Exec("print('shown')"))
		os.Stdout.Close()
	}
}

func TestResetOutput(t *testing.T) {
	output, err := child(t, "reset output").CombinedOutput()
	if string(output) != "shown\n" || err != nil {
		t.Errorf("got %q, %v", output, err)
	}
}
