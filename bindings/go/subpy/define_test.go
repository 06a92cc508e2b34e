package subpy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func define(t testing.TB, in *Interpreter, name string, fn any, options ...DefineOption) {
	t.Helper()
	if err := in.Define(name, fn, options...); err != nil {
		t.Fatal(err)
	}
}

// raised returns the exception that ends an expression.
func raised(t *testing.T, in *Interpreter, expression string) *ExecutionFailedError {
	t.Helper()
	_, err := in.Eval(expression)
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) {
		t.Fatalf("%s: got %v, want an exception", expression, err)
	}
	return failed
}

func TestDefine(t *testing.T) {
	interp := create(t, "")
	type point struct{ X, Y int }
	for name, fn := range map[string]any{
		"add":   func(a, b int) int { return a + b },
		"half":  func(x float64) float64 { return x / 2 },
		"upper": strings.ToUpper,
		"join":  func(sep string, parts ...string) string { return strings.Join(parts, sep) },
		"sum": func(n ...int) (sum int) {
			for _, n := range n {
				sum += n
			}
			return sum
		},
		"swap":     func(a, b any) (any, any) { return b, a },
		"move":     func(p point, by int) point { return point{p.X + by, p.Y + by} },
		"small":    func(n int8) int8 { return n },
		"optional": func(n *int) bool { return n != nil },
		"nothing":  func() {},
		"fine":     func() error { return nil },
		"divide": func(a, b int) (int, error) {
			if b == 0 {
				return 0, errors.New("b is 0")
			}
			return a / b, nil
		},
		"both":    func(ctx context.Context, n int) (int, error) { return n, ctx.Err() },
		"options": func(c *Call, rest ...any) (int, Dict) { return len(rest), c.Kwargs },
		"channel": func() any { return make(chan int) },
		"latin":   func() string { return "a\xff" },
		"big":     func() uint64 { return 1 << 63 },
	} {
		define(t, interp, "host:"+name, fn)
	}
	if err := interp.Exec("import host"); err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{
		"host.add(1, 2)":                 "3",
		"host.half(3)":                   "1.5",
		"host.upper('aé')":               "AÉ",
		"host.join('-')":                 "",
		"host.join('-', 'a', 'b')":       "a-b",
		"host.sum()":                     "0",
		"host.sum(*range(5))":            "10",
		"host.swap(1, 'a')":              `("a", 1)`,
		"host.move({'X': 1, 'Y': 2}, 3)": "map[X:4 Y:5]",
		"host.optional(None)":            "false",
		"host.optional(1)":               "true",
		"host.nothing()":                 "<nil>",
		"host.fine()":                    "<nil>",
		"host.divide(7, 2)":              "3",
		"host.both(3)":                   "3",
		"host.options(1, b=2, a=[])":     `(1, {"a": [], "b": 2})`,
		"host.options()":                 `(0, {})`,
		"host.big()":                     "9223372036854775808",
	} {
		if got, err := interp.Eval(expression); err != nil || sprint(got) != want {
			t.Errorf("%s: got %v, %v, want %s", expression, got, err, want)
		}
	}
	for expression, want := range map[string]string{
		"host.add(1)":            "TypeError: add() takes 2 positional arguments but 1 was given",
		"host.half()":            "TypeError: half() takes 1 positional argument but 0 were given",
		"host.join()":            "TypeError: join() takes at least 1 positional argument but 0 were given",
		"host.nothing(1)":        "TypeError: nothing() takes 0 positional arguments but 1 was given",
		"host.add(1, b=2)":       "TypeError: add() takes no keyword arguments",
		"host.both(1, b=2)":      "TypeError: both() takes no keyword arguments",
		"host.add('a', 2)":       "TypeError: add(): args[0]: a Python str does not go into a Go int",
		"host.sum(1, 2.0)":       "TypeError: sum(): args[1]: a Python float does not go into a Go int",
		"host.small(300)":        "TypeError: small(): args[0]: 300 does not fit a Go int8",
		"host.move({'X': 'a'},)": "TypeError: move() takes 2 positional arguments but 1 was given",
		"host.move({'X': ''},0)": "TypeError: move(): args[0]['X']: a Python str does not go into a Go int",
		"host.divide(1, 0)":      "RuntimeError: b is 0",
		"host.channel()":         "TypeError: channel(): result: chan int cannot be passed to Python",
	} {
		if got := raised(t, interp, expression).Formatted; got != want {
			t.Errorf("%s: got %s, want %s", expression, got, want)
		}
	}
	if got := raised(t, interp, "host.latin()"); !strings.Contains(got.Formatted, "UTF-8") {
		t.Errorf("got %s", got.Formatted)
	}
}

func TestTypedFunctions(t *testing.T) {
	interp := create(t, "")
	type point struct{ X, Y int }
	define(t, interp, "half", Func1(func(x float64) (float64, error) { return x / 2, nil }))
	define(t, interp, "upper", Func1(func(text string) (string, error) { return strings.ToUpper(text), nil }))
	define(t, interp, "divide", Func2(func(a, b int) (int, error) {
		if b == 0 {
			return 0, Raise("ZeroDivisionError", "b is 0")
		}
		return a / b, nil
	}))
	define(t, interp, "move", Func3(func(p point, x, y int) (any, error) { return point{p.X + x, p.Y + y}, nil }))
	define(t, interp, "even", Func1(func(n int) (bool, error) { return n%2 == 0, nil }))
	define(t, interp, "panics", Func1(func(n int) (any, error) { return []int{}[n], nil }))
	for expression, want := range map[string]string{
		"half(3)":                      "1.5",
		"half(x=1)":                    "TypeError: half() takes no keyword arguments",
		"upper('aé')":                  "AÉ",
		"divide(7, 2)":                 "3",
		"divide(7)":                    "TypeError: divide() takes 2 positional arguments but 1 was given",
		"divide(7, 0)":                 "ZeroDivisionError: b is 0",
		"divide(7, 'a')":               "TypeError: divide(): args[1]: a Python str does not go into a Go int",
		"move({'X': 1, 'Y': 2}, 3, 4)": "map[X:4 Y:6]",
		"move({}, '', 4)":              "TypeError: move(): args[1]: a Python str does not go into a Go int",
		"even(2)":                      "true",
		"panics(0)":                    "RuntimeError: panic: runtime error: index out of range [0] with length 0",
	} {
		got, err := interp.Eval(expression)
		var failed *ExecutionFailedError
		if errors.As(err, &failed) {
			got = failed.Formatted
		}
		if sprint(got) != want {
			t.Errorf("%s: got %v, %v, want %s", expression, got, err, want)
		}
	}
}

func TestDefineInMain(t *testing.T) {
	interp := create(t, "")
	define(t, interp, "twice", func(n int) int { return 2 * n }, WithSignature("(n, /)"), WithDoc("Twice the number."), WithKeepGIL())
	got, err := interp.Eval("(twice(4), twice.__doc__, str(__import__('inspect').signature(twice)), twice.__name__)")
	if err != nil || sprint(got) != `(8, "Twice the number.", "(n, /)", "twice")` {
		t.Errorf("got %v, %v", got, err)
	}
	define(t, interp, "twice", func(n int) int { return n + n + 1 })
	if n, err := EvalAs[int](interp, "twice(4)"); n != 9 || err != nil {
		t.Errorf("defined again: %d, %v", n, err)
	}
}

func TestDefineMisuse(t *testing.T) {
	interp := create(t, "")
	for what, fn := range map[string]any{
		"a nil": nil, "an int": 1, "a nil function": (func())(nil), "a typed nil function": Func1[int, int](nil), "a TypedFunc of nothing": TypedFunc{},
		"a typed channel": Func2(func(int, int) (chan int, error) { return nil, nil }), "a channel parameter": func(chan int) {},
		"a channel result": func() chan int { return nil }, "an interface with methods": func(fmt.Stringer) {},
		"a variadic function of functions": func(...func()) {}, "a Call that is not the first": func(int, context.Context) {},
	} {
		wantStatus(t, what, interp.Define("f", fn), ErrInvalidArgument)
	}
	for _, name := range []string{"", ":f", "host:", "f\x00", "\xff"} {
		if err := interp.Define(name, func() {}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	wantStatus(t, "a signature with a NUL", interp.Define("f", func() {}, WithSignature("(\x00)")), ErrInvalidArgument)
	wantStatus(t, "a nil interpreter", (*Interpreter)(nil).Define("f", func() {}), ErrNotFound)
	wantStatus(t, "a zero interpreter", new(Interpreter).Define("f", func() {}), ErrNotFound)
	if err := interp.Close(); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "a closed interpreter", interp.Define("f", func() {}), ErrNotFound)
	if left := definedFunctions(); left != 0 {
		t.Errorf("%d functions are kept", left)
	}
}

// definedFunctions counts what C code may call.
func definedFunctions() (count int) {
	handles.all.Range(func(_, object any) bool {
		if _, ok := object.(*hostFunction); ok {
			count++
		}
		return true
	})
	return count
}

// Functions are forgotten when they are replaced and when their interpreter is closed, however often.
func TestDefineForgets(t *testing.T) {
	for range 10 {
		interp := create(t, "")
		for i := range 100 {
			define(t, interp, fmt.Sprintf("host:f%d", i%10), func() int { return i })
		}
		if err := interp.Exec("import gc, host; assert host.f3() == 93; gc.collect()"); err != nil {
			t.Fatal(err)
		}
		if count := definedFunctions(); count != 10 {
			t.Fatalf("%d functions are kept, want 10", count)
		}
		if err := interp.Close(); err != nil {
			t.Fatal(err)
		}
		if count := definedFunctions(); count != 0 {
			t.Fatalf("%d functions are kept after closing", count)
		}
	}
	registry.Lock()
	defer registry.Unlock()
	if len(registry.kept) != 0 {
		t.Errorf("errors are kept for %d interpreters", len(registry.kept))
	}
}

type ownError struct{ code int }

func (e *ownError) Error() string { return fmt.Sprintf("code %d", e.code) }

// A typed nil, whose method panics.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

func TestHostErrors(t *testing.T) {
	interp := create(t, "def catch(f):\n  try: f()\n  except Exception as e: return f'{type(e).__name__}: {e}'")
	for _, c := range []struct {
		fn   func(c *Call) error
		want string
	}{
		{func(*Call) error { return fmt.Errorf("wrapped: %w", &ownError{7}) }, "RuntimeError: wrapped: code 7"},
		{func(*Call) error { return Raise("ValueError", "no good") }, "ValueError: no good"},
		{func(*Call) error { return fmt.Errorf("so: %w", Raise("ValueError", "no good")) }, "ValueError: so: ValueError: no good"},
		{func(*Call) error { return &RaisedError{"LookupError", "k", &ownError{8}} }, "LookupError: k"},
		{func(*Call) error { return Raise("decimal:InvalidOperation", "") }, "InvalidOperation: "},
		{func(*Call) error { _, err := os.Open("/no such file"); return err }, "FileNotFoundError: open /no such file: no such file or directory"},
		{func(*Call) error { return context.DeadlineExceeded }, "TimeoutError: context deadline exceeded"},
		{func(*Call) error { return context.Canceled }, "RuntimeError: context canceled"},
		{func(*Call) error { return (*brokenError)(nil) }, "RuntimeError: *subpy.brokenError, whose methods panic: runtime error: invalid memory address or nil pointer dereference"},
		{func(c *Call) error { _, err := c.Interpreter().Eval("int('x')"); return err }, "ValueError: invalid literal for int() with base 10: 'x'"},
		{func(c *Call) error { return c.Interpreter().Exec("import sys; sys.exit(3)") }, "RuntimeError: SystemExit: 3"},
		{func(*Call) error { panic("boom") }, "RuntimeError: panic: boom"},
		{func(*Call) error { panic(&ownError{9}) }, "RuntimeError: panic: code 9"},
		{func(*Call) error { _ = []int{}[len(os.Args)]; return nil }, fmt.Sprintf("RuntimeError: panic: runtime error: index out of range [%d] with length 0", len(os.Args))},
	} {
		define(t, interp, "f", c.fn)
		if got, err := EvalAs[string](interp, "catch(f)"); got != c.want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
}

// What Python does not catch comes out as the Go error that it was.
func TestHostErrorsComeBack(t *testing.T) {
	interp := create(t, "def outer(): f()\ndef again():\n  try: f()\n  except Exception as e: raise e from None")
	own := &ownError{7}
	define(t, interp, "f", func() error { return fmt.Errorf("wrapped: %w", own) })
	ways := map[string]func() error{
		"Call":    func() error { _, err := interp.Call("outer"); return err },
		"again":   func() error { _, err := interp.Call("again"); return err },
		"Exec":    func() error { return interp.Exec("outer()") },
		"Context": func() error { return interp.ExecContext(t.Context(), "outer()") },
		"a thread": func() error {
			thread, err := interp.CallInThread("outer")
			if err == nil {
				interp.ID() // a run that ends meanwhile
				_, err = thread.Join()
			}
			return err
		},
		"a session": func() error {
			return interp.Session(func() error { return interp.Exec("outer()") })
		},
		"CallEach": func() error {
			outcomes, err := function(t, interp, "outer").CallEach([][]any{{}, {}})
			if err == nil {
				err = outcomes[1].Err
			}
			return err
		},
	}
	for what, run := range ways {
		err := run()
		var found *ownError
		var failed *ExecutionFailedError
		if !errors.As(err, &found) || found != own || !errors.Is(err, own) || !errors.Is(err, ErrExecutionFailed) {
			t.Errorf("%s: got %v", what, err)
		}
		if !errors.As(err, &failed) || failed.Type != "RuntimeError" || failed.Frames[len(failed.Frames)-1].Function == "" {
			t.Errorf("%s: got %#v", what, failed)
		}
	}
	interp.kept.Load().Lock()
	if left := len(interp.kept.Load().errors); left != 0 {
		t.Errorf("%d errors are kept", left)
	}
	interp.kept.Load().Unlock()
	if err := interp.Exec("raise RuntimeError('another')"); errors.Is(err, own) {
		t.Error("another exception has the Go error")
	}

	// Through two interpreters, and a third run.
	other := create(t, "")
	define(t, other, "g", func() error { return interp.Exec("outer()") })
	if err := other.Exec("g()"); !errors.Is(err, own) {
		t.Errorf("through two interpreters: %v", err)
	}
}

// In an interpreter that always runs something, only the newest errors are kept.
func TestKeptErrorsAreFew(t *testing.T) {
	interp := create(t, "def ignore():\n  try: f()\n  except Exception: pass", WithBusy(BusyShare))
	define(t, interp, "f", func() error { return &ownError{1} })
	define(t, interp, "g", func() error {
		for range 2 * mostKept {
			if err := interp.Exec("ignore()"); err != nil {
				return err
			}
		}
		k := interp.kept.Load()
		k.Lock()
		defer k.Unlock()
		if len(k.errors) != mostKept {
			return fmt.Errorf("%d errors are kept", len(k.errors))
		}
		return nil
	})
	if err := interp.Exec("g()"); err != nil {
		t.Error(err)
	}
}

func TestHostPanics(t *testing.T) {
	interp := create(t, "def outer(): f()")
	define(t, interp, "f", panicking)
	_, err := interp.Call("outer")
	var panicked *PanicError
	if !errors.As(err, &panicked) || !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	if first, _, _ := strings.Cut(panicked.Stack, "\n"); !strings.Contains(first, "subpy.panicking(") {
		t.Errorf("the stack begins with %q", first)
	}
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || !strings.Contains(failed.Display, "in outer") || !strings.Contains(failed.Display, "define_test.go:") {
		t.Errorf("the traceback is %s", failed.Display)
	}
	if err := interp.Exec("1"); err != nil {
		t.Error(err)
	}
}

func panicking() { panic(fs.ErrClosed) }

func TestReentry(t *testing.T) {
	interp, other := create(t, "n = 0\nimport threading\nlocal = threading.local()"), create(t, "")
	// In the same interpreter, and through another one, on the same thread state all the way down.
	define(t, interp, "down", func(depth int) (int, error) {
		if depth == 0 {
			return EvalAs[int](interp, "local.n")
		}
		if depth%2 == 0 {
			return CallAs[int](interp, "down", depth-1)
		}
		return CallAs[int](other, "down", depth-1)
	})
	define(t, other, "down", func(depth int) (int, error) { return CallAs[int](interp, "down", depth) })
	if err := interp.Exec("local.n = 5\nresult = down(50)"); err != nil {
		t.Fatal(err)
	}
	if n, err := EvalAs[int](interp, "result"); n != 5 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}

	// What calls is the current interpreter, and it is busy for others.
	define(t, interp, "look", func(c *Call) error {
		if current, err := Current(); current != interp || err != nil {
			return fmt.Errorf("the current interpreter is %v, %v", current, err)
		}
		if c.Interpreter() != interp {
			return errors.New("another interpreter calls")
		}
		var err error
		var group sync.WaitGroup
		group.Go(func() { err = interp.Exec("1") })
		group.Wait()
		if !errors.Is(err, ErrBusy) {
			return fmt.Errorf("another goroutine: %v", err)
		}
		if err := interp.Close(); !errors.Is(err, ErrInterpreter) {
			return fmt.Errorf("closing from inside: %v", err)
		}
		return interp.Define("look", func() string { return "defined meanwhile" })
	})
	if err := interp.Exec("look()\nassert look() == 'defined meanwhile'"); err != nil {
		t.Error(err)
	}
}

// Threads that Python code started call Go functions on threads that Go does not know.
func TestPythonThreadsCallGo(t *testing.T) {
	interp := create(t, "import threading\ndef call(times):\n  for i in range(times): assert f(i) == i + 1")
	var calls atomic.Int64
	define(t, interp, "f", func(ctx context.Context, n int) (int, error) {
		calls.Add(1)
		if n%10 == 0 {
			runtime.GC()
		}
		got, err := EvalAs[int](interp, "1 + 1") // on Python's thread
		if err != nil || got != 2 {
			return 0, fmt.Errorf("%d, %w", got, err)
		}
		return n + 1, ctx.Err()
	})
	err := interp.Exec("failed = []\nthreading.excepthook = failed.append\nthreads = [threading.Thread(target=call, args=(20,)) for _ in range(8)]\n" +
		"for t in threads: t.start()\nfor t in threads: t.join()\nassert not failed, failed")
	if err != nil || calls.Load() != 160 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// An interpreter that the program drops is closed although functions are defined in it, unless they refer to it.
func TestDroppedWithFunctions(t *testing.T) {
	id := func() int64 {
		interp, err := Create()
		if err != nil {
			t.Fatal(err)
		}
		define(t, interp, "f", func(c *Call) error { return c.Interpreter().Exec("x = 1") })
		if err := interp.Exec("f()\nassert x == 1"); err != nil {
			t.Fatal(err)
		}
		id, err := interp.ID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		if _, err := Find(id); errors.Is(err, ErrNotFound) && definedFunctions() == 0 {
			return
		} else if time.Now().After(end) {
			t.Fatalf("it is still there, %v, with %d functions", err, definedFunctions())
		}
	}
}

// Defining, calling, failing and closing from several goroutines at once.
func TestDefineRaces(t *testing.T) {
	for range 20 {
		interp := create(t, "", WithBusy(BusyShare))
		define(t, interp, "f", func() int { return 0 })
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				for n := range 20 {
					if err := interp.Define("f", func() int { return n }); err != nil && !closed(err) {
						t.Error(err)
					}
					if err := interp.Define("fail", func() error { return &ownError{n} }); err != nil && !closed(err) {
						t.Error(err)
					}
				}
			})
			group.Go(func() {
				for range 20 {
					if n, err := EvalAs[int](interp, "f()"); (err != nil || n < 0 || n > 19) && !closed(err) {
						t.Errorf("%d, %v", n, err)
					}
					var own *ownError
					if err := interp.Exec("try: fail()\nexcept NameError: pass"); err != nil && !closed(err) && !errors.As(err, &own) {
						t.Error(err)
					}
				}
				if i == 0 {
					if err := interp.Close(); err != nil && !closed(err) {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if err := interp.Close(); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if count := definedFunctions(); count != 0 {
			t.Fatalf("%d functions are kept", count)
		}
	}
}

func closed(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrBusy)
}

func init() {
	children["goexit"] = func() {
		interp, err := Create()
		check(err)
		check(interp.Define("f", runtime.Goexit))
		interp.Exec("f()")
	}
}

// A function that ends its goroutine would leave Python waiting for ever.
func TestGoexitEndsTheProgram(t *testing.T) {
	output, err := child(t, "goexit").CombinedOutput()
	if err == nil || !strings.Contains(string(output), "the host function f() called runtime.Goexit") {
		t.Errorf("got %v: %s", err, output)
	}
}
