package subpy

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain runs on the process's first thread, whose stack is another than those that Go makes.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	code := m.Run()
	if err := recurse(); err != nil {
		fmt.Println("on the first thread:", err)
		code = 1
	}
	if err := Shutdown(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func create(t testing.TB, busy Busy) *Interpreter {
	t.Helper()
	interp, err := Create(busy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := interp.Close(); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
	return interp
}

func run(t testing.TB, interp *Interpreter, code string) {
	t.Helper()
	if err := interp.Exec(code); err != nil {
		t.Fatal(err)
	}
}

// What a call returned, which must succeed. For any goroutine.
func must(t testing.TB) func(v any, err error) any {
	return func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return v
	}
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func failure(t testing.TB, err error, want error) *Error {
	t.Helper()
	var e *Error
	if !errors.Is(err, want) || !errors.As(err, &e) {
		t.Fatalf("got the error %v, want %v", err, want)
	}
	return e
}

func TestInterpretersAreIsolated(t *testing.T) {
	one, two := create(t, BusyError), create(t, BusyError)
	run(t, one, "x = 1")
	run(t, two, "x = 2")
	equal(t, must(t)(one.Eval("x")), int64(1))
	equal(t, must(t)(two.Eval("x")), int64(2))
	if err := one.PrepareMain(map[string]any{"x": "new"}); err != nil {
		t.Fatal(err)
	}
	equal(t, must(t)(one.Eval("x")), "new")
	main, err := Main()
	if err != nil {
		t.Fatal(err)
	}
	id, err := main.ID()
	equal(t, []any{id, err}, []any{int64(0), nil})
	id, err = one.ID()
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(id)
	equal(t, []any{found, err}, []any{one, nil})
	running, err := one.IsRunning()
	equal(t, []any{running, err}, []any{false, nil})
}

func TestValuesAreEqualOnBothSides(t *testing.T) {
	interp := create(t, BusyError)
	run(t, interp, `
		def same(ours, theirs):
		    # repr tells types, order, signs of zero and nan apart
		    return repr(ours) == repr(theirs)
		def kept(value):
		    global keep
		    keep = value
	`)
	huge := new(big.Int).Exp(big.NewInt(3), big.NewInt(2000), nil)
	for expression, want := range map[string]any{
		"None":                      nil,
		"True":                      true,
		"False":                     false,
		"0":                         int64(0),
		"2**53 + 1":                 int64(1<<53 + 1),
		"2**63 - 1":                 int64(math.MaxInt64),
		"-2**63":                    int64(math.MinInt64),
		"2**63":                     new(big.Int).Lsh(big.NewInt(1), 63),
		"-2**63 - 1":                new(big.Int).Sub(big.NewInt(math.MinInt64), big.NewInt(1)),
		"3**2000":                   huge,
		"-3**2000":                  new(big.Int).Neg(huge),
		"2.0":                       2.0,
		"-0.0":                      math.Copysign(0, -1),
		"5e-324":                    5e-324,
		"float('inf')":              math.Inf(1),
		"-float('inf')":             math.Inf(-1),
		"''":                        "",
		`'a\0b'`:                    "a\x00b",
		`'\ufeffä\u20ac\U0001f40d'`: "\ufeffä€🐍",
		"'x' * 100_000":             strings.Repeat("x", 100_000),
		"b''":                       []byte{},
		`b'\0\xff'`:                 []byte{0, 255},
		"[]":                        []any{},
		"()":                        Tuple{},
		"{}":                        Dict{},
		"{1: 'int', '1': 'str', (1, 2): b'', None: {}}": Dict{
			{int64(1), "int"}, {"1", "str"}, {Tuple{int64(1), int64(2)}, []byte{}}, {nil, Dict{}},
		},
		`{'a': [(1, 'x'), (2**63 - 1, b'\0')], 'b': {'c': [(), {}]}}`: Dict{
			{"a", []any{Tuple{int64(1), "x"}, Tuple{int64(math.MaxInt64), []byte{0}}}},
			{"b", Dict{{"c", []any{Tuple{}, Dict{}}}}},
		},
	} {
		out := must(t)(interp.Eval(expression))
		equal(t, out, want)
		must(t)(interp.Call("kept", out))
		equal(t, must(t)(interp.Eval("same(keep, "+expression+")")), true)
	}
	nan := must(t)(interp.Eval("float('nan')")).(float64)
	equal(t, math.IsNaN(nan), true)
	var none *big.Int
	others := []any{
		none, int8(-1), int16(-2), int32(-3), uint(math.MaxUint), uint8(4), uint16(5), uint32(math.MaxUint32),
		uint64(math.MaxUint64), uint64(6), uintptr(7), float32(0.5),
	}
	text := "[None, -1, -2, -3, 18446744073709551615, 4, 5, 4294967295, 18446744073709551615, 6, 7, 0.5]"
	equal(t, must(t)(interp.Call("builtins:repr", others)), text)
	equal(t, must(t)(interp.Call("builtins:repr", none)), "None")
	equal(t, must(t)(interp.Call("builtins:repr", []any{nan, 5, map[string]any{"b": 1, "a": nil}})), "[nan, 5, {'a': None, 'b': 1}]")
}

func TestValuesThatDoNotCross(t *testing.T) {
	interp := create(t, BusyError)
	for _, v := range []any{struct{}{}, make(chan int), []int{1}, complex64(1), func() {}} {
		e := failure(t, second(interp.Call("builtins:repr", 1, []any{0, Dict{{"k", v}}})), ErrInvalidArgument)
		if want := fmt.Sprintf(`args[1][1]["k"]: a %T has no Python value`, v); e.Message != want {
			t.Errorf("got %q, want %q", e.Message, want)
		}
	}
	failure(t, second(interp.Call("builtins:repr", "\xff")), ErrInvalidArgument)
	failure(t, second(interp.CallKw("builtins:dict", 5)), ErrInvalidArgument)
	failure(t, interp.PrepareMain(Dict{}), ErrInvalidArgument)
	failure(t, interp.Exec("\xff"), ErrInvalidArgument)
	cycle := []any{nil}
	cycle[0] = cycle
	dict := Dict{{"k", nil}}
	dict[0].Value = dict
	for _, row := range []struct{ value, way any }{
		{cycle, "[0][0][0][0]...[0][0][0][0][0]"},
		{dict, `["k"]["k"]["k"]["k"]...["k"]["k"]["k"]["k"]["k"]`},
		// A key is shown by its type when it has items, which it may contain itself among.
		{Dict{{cycle, 1}}, "[[]interface {}][0][0][0]...[0][0][0][0][0]"},
	} {
		e := failure(t, second(interp.Call("builtins:repr", row.value)), ErrInvalidArgument)
		equal(t, e.Message, fmt.Sprintf("args[0]%s: nested more than 1,000 levels deep, or contains itself", row.way))
	}
	e := failure(t, second(interp.Call("builtins:repr", Dict{{big.NewInt(5), Dict{{1.5, Dict{{true, func() {}}}}}}})), ErrInvalidArgument)
	equal(t, e.Message, "args[0][5][1.5][true]: a func() has no Python value")
	e = failure(t, second(interp.Eval("{'a': [1, 2, object()]}")), ErrNotShareable)
	equal(t, e.Message, "result['a'][2]: object cannot be shared")
}

func second(_ any, err error) error { return err }

func TestAnExceptionHasItsTraceback(t *testing.T) {
	interp := create(t, BusyError)
	e := failure(t, interp.Exec(`
		class Outer:
		    class Error(Exception): pass
		def fail(n):
		    if n: fail(n - 1)
		    raise Outer.Error('nul \0 and é')
		fail(1)
	`), ErrExecutionFailed)
	equal(t, e.Code, "SUBPY_ERROR_EXECUTION_FAILED")
	equal(t, e.Error(), "Outer.Error: nul \x00 and é")
	equal(t, []string{e.TypeName, e.TypeQualname, e.TypeModule}, []string{"Error", "Outer.Error", "__main__"})
	equal(t, []string{e.ExceptionMessage, e.Formatted}, []string{"nul \x00 and é", "Outer.Error: nul \x00 and é"})
	if !strings.HasPrefix(e.Display, "Traceback (most recent call last):\n  File \"<script>\", line 7, in <module>\n") {
		t.Error(e.Display)
	}
	equal(t, e.Frames, []Frame{{"<script>", 7, "<module>"}, {"<script>", 5, "fail"}, {"<script>", 6, "fail"}})
	equal(t, *failure(t, interp.Exec("raise SystemExit(3)"), ErrExecutionFailed).ExitStatus, 3)
	e = failure(t, interp.Exec("x = 1\ny ="), ErrSyntax)
	equal(t, []any{e.TypeName, e.Line, e.Column}, []any{"SyntaxError", 2, 4})
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	closed := create(t, BusyError)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []*Interpreter{closed, {}, {77}, {math.MaxUint64}} {
		_, running := gone.IsRunning()
		_, id := gone.ID()
		_, started := gone.CallInThread("f")
		for _, err := range []error{
			gone.Exec("1"), second(gone.Eval("1")), second(gone.Call("f")), gone.PrepareMain(Dict{{"x", 1}}),
			running, id, started, gone.Close(),
		} {
			failure(t, err, ErrNotFound)
		}
	}
	failure(t, second((&Thread{77}).Join()), ErrNotFound)
	_, err := Find(999_999)
	failure(t, err, ErrNotFound)
	_, err = Find(-1)
	failure(t, err, ErrInvalidArgument)
}

func TestOneAtATimeOrInTurn(t *testing.T) {
	strict, patient := create(t, BusyError), create(t, BusyWait)
	ends := must(t)(strict.Eval("__import__('os').pipe()")).(Tuple)
	thread, err := strict.CallInThread("os:read", ends[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	waitRunning(t, strict)
	failure(t, strict.Exec("1"), ErrBusy)
	failure(t, strict.Close(), ErrBusy)
	failure(t, Shutdown(), ErrBusy)
	must(t)(patient.Call("os:write", ends[1], []byte("x")))
	equal(t, must(t)(thread.Join()), []byte("x"))
	failure(t, second(thread.Join()), ErrNotFound)
	must(t)(patient.Call("os:close", ends[0]))
	must(t)(patient.Call("os:close", ends[1]))

	run(t, patient, "count = 0")
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if err := patient.Exec("count += 1"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	equal(t, must(t)(patient.Eval("count")), int64(100))
}

func waitRunning(t *testing.T, interp *Interpreter) {
	t.Helper()
	for {
		running, err := interp.IsRunning()
		if err != nil {
			t.Fatal(err)
		}
		if running {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestGoroutinesRunInParallel(t *testing.T) {
	pair := []*Interpreter{create(t, BusyError), create(t, BusyError)}
	for _, interp := range pair {
		run(t, interp, `
			import ctypes, os, select
			def primes(n):
			    sieve = bytearray([1]) * n
			    for i in range(2, n):
			        if sieve[i]:
			            for k in range(i * i, n, i): sieve[k] = 0
			    return sum(sieve[2:])
			# PyDLL keeps the GIL while C runs: nobody else runs Python in this interpreter until the pipe can be read.
			def wait_with_gil(fd):
			    class pollfd(ctypes.Structure):
			        _fields_ = [('fd', ctypes.c_int), ('events', ctypes.c_short), ('revents', ctypes.c_short)]
			    polled = pollfd(fd, select.POLLIN)
			    # Go's scheduler sends signals to threads that take long.
			    while (ready := ctypes.PyDLL(None).poll(ctypes.byref(polled), ctypes.c_ulong(1), 60_000)) < 0: pass
			    return ready
		`)
	}
	ends := must(t)(pair[0].Eval("os.pipe()")).(Tuple)
	waited := make(chan any)
	go func() { waited <- must(t)(pair[0].Call("wait_with_gil", ends[0])) }()
	waitRunning(t, pair[0])
	equal(t, must(t)(pair[1].Call("primes", 50_000)), int64(5133))
	must(t)(pair[1].Call("os:write", ends[1], []byte("x")))
	equal(t, <-waited, int64(1))
	run(t, pair[0], fmt.Sprintf("os.close(%d); os.close(%d)", ends...))

	var group sync.WaitGroup
	for _, interp := range pair {
		group.Go(func() { equal(t, must(t)(interp.Call("primes", 1_000_000)), int64(78498)) })
	}
	group.Wait()
}

func TestManyGoroutinesAndTheGarbageCollector(t *testing.T) {
	interps := []*Interpreter{create(t, BusyWait), create(t, BusyWait), create(t, BusyShare)}
	for _, interp := range interps {
		run(t, interp, "def join(a, b, *, c): return a[0][0] + b['k'] + c")
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for j := range 30 {
				a, b, c := fmt.Sprint("a", i), fmt.Sprint("b", j), fmt.Sprint("c", i*j)
				got := must(t)(interps[i%3].CallKw("join", Dict{{"c", c}}, []any{Tuple{a}}, map[string]any{"k": b}))
				equal(t, got, a+b+c)
			}
		})
	}
	group.Wait()
	close(done)
}

func TestRecursionThatUsesUpTheStack(t *testing.T) {
	if err := recurse(); err != nil {
		t.Error(err)
	}
}

// Recursion without end, in Python and in C, must be a RecursionError.
func recurse() error {
	interp, err := Create(BusyError)
	if err != nil {
		return err
	}
	defer interp.Close()
	if err := interp.Exec(`
		deep = []
		for i in range(200_000): deep = [deep]
		def through_c(n): return sorted([1], key=lambda _: through_c(n + 1))
	`); err != nil {
		return err
	}
	for _, code := range []string{"repr(deep)", "through_c(0)", "(f := lambda: f())()"} {
		_, err := interp.Eval(code)
		var e *Error
		if !errors.As(err, &e) || e.TypeName != "RecursionError" {
			return fmt.Errorf("%s: %w", code, err)
		}
	}
	return nil
}

func TestExtensionModulesFindWhatTheyNeed(t *testing.T) {
	interp := create(t, BusyError)
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	must(t)(interp.Call("sys:path.insert", 0, folder+"/../.."))
	seen := must(t)(interp.Call("stdlib:use")).(Dict)
	version, err := PythonVersion()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Python %s: %s", version, seen[0].Value)
	equal(t, seen[1:], Dict{
		{"tls", "through TLS"}, {"sha256", "1ac33dff70ee99332fb47fd6adc6ebfe4d7f327d62cd192ed65451204af1d76c"}, {"rows", int64(6)}, {"asyncio", "later"},
		{"json", Dict{{"a", []any{int64(1), nil}}}}, {"ctypes", int64(5)}, {"zlib", true},
	})
}

func TestTheProgramPrintsAndExits(t *testing.T) {
	command := exec.Command("go", "run", "..")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(out), `to: 2
be: 2
Traceback (most recent call last):
  File "<script>", line 1, in <module>
    count(42)
    ~~~~~^^^^
  File "<script>", line 5, in count
    words = collections.Counter(text.split())
                                ^^^^^^^^^^
AttributeError: 'int' object has no attribute 'split'
`)
}

func BenchmarkCallWithTwoInts(b *testing.B) {
	interp := create(b, BusyError)
	run(b, interp, "def add(a, b): return a + b")
	for b.Loop() {
		must(b)(interp.Call("add", 1, 2))
	}
}

func BenchmarkResultOf1000Ints(b *testing.B) {
	interp := create(b, BusyError)
	run(b, interp, "numbers = list(range(1000))\ndef give(): return numbers")
	for b.Loop() {
		must(b)(interp.Call("give"))
	}
}

func BenchmarkArgumentOf1000Ints(b *testing.B) {
	interp := create(b, BusyError)
	run(b, interp, "def take(values): return len(values)")
	numbers := make([]any, 1000)
	for i := range numbers {
		numbers[i] = i
	}
	for b.Loop() {
		must(b)(interp.Call("take", numbers))
	}
}
