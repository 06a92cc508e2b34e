package subpy

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const loops = "import time\ndef loop():\n  while True: pass\ndef ignore():\n  try: loop()\n  except BaseException: return 'ignored'"

// soon returns a context that is cancelled when Python runs.
func soon(t *testing.T, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	return ctx
}

func TestContextCancels(t *testing.T) {
	interp := create(t, loops)
	loop := function(t, interp, "loop")
	because := errors.New("the client went away")
	for what, run := range map[string]func(ctx context.Context) error{
		"Exec":     func(ctx context.Context) error { return interp.ExecContext(ctx, "while True: pass") },
		"Eval":     func(ctx context.Context) error { _, err := interp.EvalContext(ctx, "loop()"); return err },
		"EvalAs":   func(ctx context.Context) error { _, err := EvalAsContext[int](ctx, interp, "loop()"); return err },
		"Call":     func(ctx context.Context) error { _, err := interp.CallContext(ctx, "loop"); return err },
		"CallAs":   func(ctx context.Context) error { _, err := CallAsContext[int](ctx, interp, "loop"); return err },
		"Function": func(ctx context.Context) error { _, err := loop.CallContext(ctx); return err },
		"a thread": func(ctx context.Context) error {
			thread, err := interp.CallInThreadContext(ctx, "loop")
			if err == nil {
				_, err = thread.Join()
			}
			return err
		},
		"a function's thread": func(ctx context.Context) error {
			thread, err := loop.CallInThreadContext(ctx)
			if err == nil {
				_, err = thread.Join()
			}
			return err
		},
		"JoinContext": func(ctx context.Context) error {
			thread, err := interp.CallInThread("loop")
			if err == nil {
				_, err = thread.JoinContext(ctx)
			}
			return err
		},
		"a session": func(ctx context.Context) error {
			return interp.Session(func() error { return interp.ExecContext(ctx, "loop()") })
		},
	} {
		err := run(soon(t, because))
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) || !errors.Is(err, because) || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: got %v", what, err)
			continue
		}
		if interrupted.Type != "KeyboardInterrupt" || len(interrupted.Frames) == 0 || !strings.Contains(interrupted.Display, "Traceback") {
			t.Errorf("%s: got %#v", what, interrupted)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTimeout) {
			t.Errorf("%s: it is a timeout too", what)
		}
		if running, err := interp.IsRunning(); running || err != nil {
			t.Errorf("%s: it runs on, %v", what, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err = run(ctx)
		cancel()
		var timeout *TimeoutError
		if !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) || !timeout.Timeout() {
			t.Errorf("%s: got %v", what, err)
		} else if timeout.Type != "KeyboardInterrupt" || len(timeout.Frames) == 0 {
			t.Errorf("%s: got %#v", what, timeout)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: it is cancelled too", what)
		}
	}
	if got, err := interp.EvalContext(soon(t, nil), "ignore()"); got != "ignored" || err != nil {
		t.Errorf("code that ends well: %v, %v", got, err)
	}
}

func TestContextWasDone(t *testing.T) {
	interp := create(t, "ran = False")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := interp.ExecContext(ctx, "ran = True")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	if _, err := interp.CallInThreadContext(ctx, "builtins:len", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	if err := interp.ExecContext(ctx, "ran = True"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	if ran, err := EvalAs[bool](interp, "ran"); ran || err != nil {
		t.Errorf("it ran: %t, %v", ran, err)
	}
}

// A context that is not done changes nothing.
func TestContextWithoutEnd(t *testing.T) {
	interp := create(t, "def f(a, *, b): return a + b\ndef bad(): 1/0")
	with, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), with} {
		if n, err := CallAsContext[int](ctx, interp, "f", 1, Kwargs{"b": 2}); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		_, err := interp.CallContext(ctx, "bad")
		var failed *ExecutionFailedError
		if !errors.As(err, &failed) || failed.Type != "ZeroDivisionError" {
			t.Errorf("got %v", err)
		}
		wantStatus(t, "source that does not compile", interp.ExecContext(ctx, "1 +"), ErrSyntax)
		_, err = interp.CallContext(ctx, "f", make(chan int))
		wantStatus(t, "a channel", err, ErrInvalidArgument)
		_, err = (*Function)(nil).CallContext(ctx)
		wantStatus(t, "a nil function", err, ErrNotFound)
		_, err = (*Interpreter)(nil).CallContext(ctx, "f")
		wantStatus(t, "a nil interpreter", err, ErrNotFound)
	}
}

func TestTimeLimit(t *testing.T) {
	interp := create(t, loops, WithTimeLimit(30*time.Millisecond))
	for what, run := range map[string]func() error{
		"Exec": func() error { return interp.Exec("loop()") },
		"Call": func() error { _, err := interp.Call("loop"); return err },
		"a thread": func() error {
			thread, err := interp.CallInThread("loop")
			if err == nil {
				_, err = thread.Join()
			}
			return err
		},
		"a context with a later deadline": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			return interp.ExecContext(ctx, "loop()")
		},
		"CallMany": func() error { _, err := function(t, interp, "loop").CallMany([][]any{{}}); return err },
	} {
		var timeout *TimeoutError
		if err := run(); !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) || timeout.Type != "KeyboardInterrupt" {
			t.Errorf("%s: got %v", what, err)
		}
	}
	slow := "end = time.monotonic() + 0.1\nwhile time.monotonic() < end: pass"
	for _, limit := range []time.Duration{time.Hour, -1} {
		if err := interp.ExecContext(ContextWithTimeLimit(t.Context(), limit), slow); err != nil {
			t.Errorf("with a limit of its own, %v: %v", limit, err)
		}
	}
	short := ContextWithTimeLimit(t.Context(), time.Nanosecond)
	wantStatus(t, "a very short limit", interp.ExecContext(short, "loop()"), ErrTimeout)
	if err := interp.Exec("pass"); err != nil {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) {
	interp := create(t, loops)
	if err := interp.Interrupt(); err != nil {
		t.Error(err)
	}
	if err := interp.Exec("x = 1"); err != nil {
		t.Errorf("the run after an interrupt of nothing: %v", err)
	}
	began := make(chan struct{})
	define(t, interp, "began", func() { close(began) })
	go func() {
		<-began
		for running := true; running; running, _ = interp.IsRunning() {
			interp.Interrupt()
			time.Sleep(time.Millisecond)
		}
	}()
	err := interp.Exec("began()\nloop()")
	var interrupted *InterruptedError
	if !errors.As(err, &interrupted) || errors.Is(err, context.Canceled) || interrupted.Type != "KeyboardInterrupt" {
		t.Errorf("got %v", err)
	}
	wantStatus(t, "a nil interpreter", (*Interpreter)(nil).Interrupt(), ErrNotFound)
}

// Waiting for an interpreter ends with the context, too.
func TestContextEndsWaiting(t *testing.T) {
	interp := create(t, loops, WithBusy(BusyWait))
	long, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	began := make(chan struct{})
	define(t, interp, "began", func() { close(began) })
	go func() { ended <- interp.ExecContext(long, "began()\nloop()") }()
	<-began
	if err := interp.ExecContext(soon(t, nil), "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type requestKey struct{}

// A host function has the context of the run that calls it.
func TestCallContext(t *testing.T) {
	interp := create(t, "")
	define(t, interp, "value", func(ctx context.Context) any { return ctx.Value(requestKey{}) })
	define(t, interp, "wait", func(ctx context.Context) error {
		if ctx.Err() != nil {
			return errors.New("it is done at once")
		}
		<-ctx.Done()
		return ctx.Err()
	})
	define(t, interp, "poll", func(c *Call) error {
		for c.Context().Err() == nil {
			runtime.Gosched()
		}
		return c.Context().Err()
	})
	var kept context.Context
	define(t, interp, "keep", func(ctx context.Context) {
		kept = ctx
		if ctx.Err() != nil {
			panic("done")
		}
	})
	define(t, interp, "nested", func() (any, error) { return interp.Eval("value()") })

	ctx := context.WithValue(t.Context(), requestKey{}, "request 1")
	for expression, want := range map[string]any{"value()": "request 1", "nested()": "request 1"} {
		if got, err := interp.EvalContext(ctx, expression); got != want || err != nil {
			t.Errorf("%s: got %v, %v", expression, got, err)
		}
	}
	if got, err := interp.Eval("value()"); got != nil || err != nil {
		t.Errorf("without a context: got %v, %v", got, err)
	}
	if count := countOf(&threads); count != 0 {
		t.Errorf("%d threads are known", count)
	}

	for _, name := range []string{"wait", "poll"} {
		if err := interp.ExecContext(soon(t, nil), name+"()"); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: got %v", name, err)
		}
		limited := ContextWithTimeLimit(t.Context(), 20*time.Millisecond)
		if err := interp.ExecContext(limited, name+"()"); !errors.Is(err, ErrTimeout) {
			t.Errorf("%s with a time limit: got %v", name, err)
		}
	}

	// Where no context of a run is known, the library knows.
	for _, name := range []string{"wait", "poll"} {
		thread, err := interp.CallInThreadContext(soon(t, nil), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := thread.Join(); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s on a thread: got %v", name, err)
		}
		limited := create(t, "", WithTimeLimit(20*time.Millisecond))
		define(t, limited, name, func(ctx context.Context) error {
			for name == "poll" && ctx.Err() == nil {
				runtime.Gosched()
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err := limited.Exec(name + "()"); !errors.Is(err, ErrTimeout) {
			t.Errorf("%s with a time limit of the interpreter: got %v", name, err)
		}
	}

	if err := interp.Exec("keep()"); err != nil {
		t.Fatal(err)
	}
	<-kept.Done()
	if kept.Err() != context.Canceled {
		t.Errorf("after the call: %v", kept.Err())
	}
}

func countOf(m *sync.Map) (count int) {
	m.Range(func(_, _ any) bool { count++; return true })
	return count
}

// Cancels meet ends of runs, of all kinds, and never hit the next run.
func TestCancelRaces(t *testing.T) {
	interp := create(t, loops+"\ndef work(n):\n  for _ in range(n): pass\n  return n")
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := interp.CallContext(ctx, "work", i*10); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if n, err := CallAs[int](interp, "work", 100); n != 100 || err != nil {
			t.Fatalf("the next run: %d, %v", n, err)
		}
	}
	for range 50 {
		thread, err := interp.CallInThread("loop")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				if _, err := thread.JoinContext(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
			})
		}
		group.Go(cancel)
		group.Wait()
	}
	if count := countOf(&handles.all); count != 0 {
		t.Errorf("%d handles are left", count)
	}
}

// Contexts that live long do not collect what short runs leave.
func TestContextDoesNotLeak(t *testing.T) {
	interp := create(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	measure := func(stats *runtime.MemStats) {
		for range 2000 {
			if err := interp.ExecContext(ctx, "1"); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(stats)
	}
	measure(&before)
	goroutines := runtime.NumGoroutine()
	measure(&after)
	if grown := int64(after.HeapObjects) - int64(before.HeapObjects); grown > 1000 {
		t.Errorf("%d objects more", grown)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 5 {
		t.Errorf("%d goroutines more", more)
	}
}
