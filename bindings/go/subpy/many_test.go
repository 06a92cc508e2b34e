package subpy

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func function(t testing.TB, in *Interpreter, name string) *Function {
	t.Helper()
	fn, err := in.Function(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fn.Free)
	return fn
}

func TestCallMany(t *testing.T) {
	interp := create(t, `
calls = 0
def given(*args):
    global calls; calls += 1
    return args
def add(a, b): return a + b
def odd(n): return {'n': n, 'big': 1 << 70} if n % 2 else None
def nothing(*args): return object()
`)
	given, add := function(t, interp, "given"), function(t, interp, "add")
	for _, rows := range [][][]any{
		{},
		{{}, {}, {}},
		{{1, "a"}},
		{{1, "a"}, {nil, []byte("b")}, {Tuple{1, 2.5}, map[string]any{"k": []int{1, 2}}}, {new(big.Int).Lsh(big.NewInt(1), 80), strings.Repeat("x", 100_000)}},
	} {
		want := make([]any, len(rows))
		for i, row := range rows {
			var err error
			if want[i], err = given.Call(row...); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := given.CallMany(rows); err != nil || got == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %v, %v, want %v", rows, got, err, want)
		}
		outcomes, err := given.CallEach(rows)
		if err != nil || len(outcomes) != len(rows) {
			t.Errorf("%v: got %v, %v", rows, outcomes, err)
		}
		for i, outcome := range outcomes {
			if outcome.Err != nil || !reflect.DeepEqual(outcome.Value, want[i]) {
				t.Errorf("row %d: got %v, want %v", i, outcome, want[i])
			}
		}
	}
	if got, err := given.CallMany(nil); err != nil || got == nil || len(got) != 0 {
		t.Errorf("no rows: %v, %v", got, err)
	}

	// Typed rows and results.
	if got, err := CallManyAs[int](add, [][]int{{1, 2}, {3, 4}, {-5, 6}}); err != nil || fmt.Sprint(got) != "[3 7 1]" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := CallManyAs[string](add, [][]string{{"a", "b"}, {"c", ""}}); err != nil || fmt.Sprint(got) != "[ab c]" {
		t.Errorf("%v, %v", got, err)
	}
	type number struct {
		N   int      `subpy:"n"`
		Big *big.Int `subpy:"big"`
	}
	got, err := CallManyAs[*number](function(t, interp, "odd"), [][]int8{{1}, {2}, {3}})
	if err != nil || len(got) != 3 || got[0].N != 1 || got[0].Big.BitLen() != 71 || got[1] != nil || got[2].N != 3 {
		t.Errorf("%v, %v", got, err)
	}
	nothing := function(t, interp, "nothing")
	if got, err := CallManyAs[Ignored](nothing, [][]int{{1}, {2}}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	_, err = CallManyAs[any](nothing, [][]int{{1}, {2}})
	wantMessage(t, "an object", err, "row 0: result: object cannot be shared")

	// Many rows, with all in one array.
	rows := make([][]int, 100_000)
	for i := range rows {
		rows[i] = []int{i, i}
	}
	sums, err := CallManyAs[int](add, rows)
	if err != nil || len(sums) != len(rows) {
		t.Fatal(len(sums), err)
	}
	for i, sum := range sums {
		if sum != 2*i {
			t.Fatalf("row %d: %d", i, sum)
		}
	}

	// What has no place in Python, or in Go, and rows that are no table.
	before, err := EvalAs[int](interp, "calls")
	if err != nil {
		t.Fatal(err)
	}
	for want, rows := range map[string][][]any{
		"rows[1]: its length is 1, that of rows[0] is 2":         {{1, 2}, {3}},
		"rows[2]: its length is 1, that of rows[0] is 0":         {{}, {}, {1}},
		"rows[1]: its length is 0, that of rows[0] is 1":         {{1}, nil},
		"rows[1][0]['x'][1]: chan int cannot be passed":          {{1}, {map[string]any{"x": []any{1, make(chan int)}}}},
		"rows[1][1]: rows have no keyword arguments":             {{1, 2}, {3, Kwargs{"a": 1}}},
		"rows[0][0]: rows have no keyword arguments":             {{OrderedKwargs{}}},
		"rows[0][0][0]: Kwargs must be the last argument":        {{[]any{Kwargs{}}}},
		"rows[1][1]: invalid UTF-8 at byte offset 1":             {{"a", "b"}, {"c", "d\xff"}},
		"[0][0]: nested more than 1000 levels deep, or contains": {{itself()}},
	} {
		_, err := given.CallMany(rows)
		wantMessage(t, want, err, want)
		wantStatus(t, want, err, ErrInvalidArgument)
		_, err = given.CallEach(rows)
		wantMessage(t, want, err, want)
	}
	huge := make([]struct{}, 1<<40)
	_, err = CallManyAs[any](given, [][]struct{}{huge, huge})
	wantMessage(t, "more arguments than memory can hold", err, "rows: more than memory can hold")
	if after, err := EvalAs[int](interp, "calls"); after != before || err != nil {
		t.Errorf("%d rows ran, %v", after-before, err)
	}
	_, err = CallManyAs[int8](add, [][]int{{1, 2}, {100, 100}})
	wantMessage(t, "a result that does not fit", err, "results[1]: 200 does not fit a Go int8")

	given.Free()
	for name, fn := range map[string]*Function{"nil": nil, "zero": {}, "freed": given} {
		_, err := fn.CallMany([][]any{{1}})
		wantStatus(t, name, err, ErrNotFound)
		_, err = fn.CallEach(nil)
		wantStatus(t, name, err, ErrNotFound)
	}
}

// itself is a value that contains itself, and has no end.
func itself() any {
	items := []any{nil}
	items[0] = items
	return items
}

const failing = `
class Own(ValueError): pass
def f(n):
    if n == 3: raise Own(f"bad\nnews {n}")
    if n == 4: return ["fine", {"x": {1}}]
    if n == 5: raise SystemExit(9)
    if n == 6: raise KeyboardInterrupt
    return n
`

type row interface{ Row() (int, bool) }

func TestCallManyErrors(t *testing.T) {
	interp := create(t, failing)
	f := function(t, interp, "f")
	for i, c := range []struct {
		rows    [][]int
		row     int
		status  Status
		message string
	}{
		{[][]int{{0}, {1}, {2}, {3}, {4}}, 3, ErrExecutionFailed, "row 3: Own: bad"},
		{[][]int{{3}, {5}}, 0, ErrExecutionFailed, "row 0: Own: bad"},
		{[][]int{{0}, {4}, {3}}, 1, ErrNotShareable, "subpy: row 1: result[1]['x']: set cannot be shared"},
		{[][]int{{0}, {5}}, 1, ErrExecutionFailed, "row 1: SystemExit: 9"},
		{[][]int{{6}}, 0, ErrExecutionFailed, "row 0: KeyboardInterrupt: "},
	} {
		got, err := CallManyAs[int](f, c.rows)
		wantStatus(t, c.message, err, c.status)
		if got != nil || err == nil || err.Error() != c.message {
			t.Errorf("%d: got %v, %q, want %q", i, got, err, c.message)
		}
		if row, ok := err.(row).Row(); !ok || row != c.row {
			t.Errorf("%s: it says row %d, %t", c.message, row, ok)
		}
	}
	_, err := CallManyAs[int](f, [][]int{{0, 1}})
	wantMessage(t, "too many arguments", err, "row 0: TypeError: f() takes 1 positional argument but 2 were given")

	// Other errors are of no row.
	_, err = f.Call(3)
	if row, ok := err.(row).Row(); ok || row != 0 {
		t.Errorf("a single call says row %d", row)
	}
	_, err = f.Call(4)
	if row, ok := err.(row).Row(); ok || row != 0 {
		t.Errorf("a single call says row %d", row)
	}
}

func TestCallEach(t *testing.T) {
	interp := create(t, failing)
	f := function(t, interp, "f")
	rows := make([][]int, 1000)
	for i := range rows {
		rows[i] = []int{i % 5}
	}
	outcomes, err := CallEachAs[int](f, rows)
	if err != nil || len(outcomes) != len(rows) {
		t.Fatal(len(outcomes), err)
	}
	runtime.GC()
	if err := interp.Close(); err != nil { // they need nothing else
		t.Fatal(err)
	}
	seen := map[int]int{}
	for i, outcome := range outcomes {
		n := rows[i][0]
		seen[n]++
		switch n {
		case 3:
			var failed *ExecutionFailedError
			if !errors.As(outcome.Err, &failed) {
				t.Fatalf("row %d: %v", i, outcome.Err)
			}
			last := failed.Frames[len(failed.Frames)-1]
			if failed.Type != "Own" || failed.Module != "__main__" || failed.Message != "bad\nnews 3" || len(failed.Frames) != 1 ||
				last.Line != 4 || last.Function != "f" || !strings.HasSuffix(failed.Display, "Own: bad\nnews 3") ||
				failed.Error() != fmt.Sprintf("row %d: Own: bad", i) || failed.Interpreter() != interp {
				t.Fatalf("row %d: %#v", i, failed)
			}
		case 4:
			var refused *Error
			if !errors.As(outcome.Err, &refused) || refused.Status != ErrNotShareable ||
				refused.Message != fmt.Sprintf("row %d: result[1]['x']: set cannot be shared", i) {
				t.Fatalf("row %d: %v", i, outcome.Err)
			}
		default:
			if outcome.Err != nil || outcome.Value != n {
				t.Fatalf("row %d: %v", i, outcome)
			}
			continue
		}
		if row, ok := outcome.Err.(row).Row(); !ok || row != i || outcome.Value != 0 {
			t.Fatalf("row %d: it says %d, %t, and has the value %v", i, row, ok, outcome.Value)
		}
	}
	if seen[0] == 0 || seen[3] == 0 || seen[4] == 0 {
		t.Error(seen)
	}
}

func TestCallEachThatEnds(t *testing.T) {
	interp := create(t, failing)
	f := function(t, interp, "f")
	for n, message := range map[int]string{5: "row 2: SystemExit: 9", 6: "row 2: KeyboardInterrupt: "} {
		outcomes, err := CallEachAs[int](f, [][]int{{1}, {3}, {n}, {2}})
		var failed *ExecutionFailedError
		if outcomes != nil || !errors.As(err, &failed) || failed.Error() != message {
			t.Errorf("got %v, %v", outcomes, err)
			continue
		}
		row, ok := failed.Row()
		if status, isExit := failed.ExitStatus(); !ok || row != 2 || isExit != (n == 5) || isExit && status != 9 {
			t.Errorf("row %d, %t; exit status %d, %t", row, ok, status, isExit)
		}
	}
	// A result that is none of the Go type is the error of its row.
	outcomes, err := CallEachAs[string](function(t, interp, "builtins:repr"), [][]int{{1}, {2}})
	if err != nil || fmt.Sprint(outcomes) != "[{1 <nil>} {2 <nil>}]" {
		t.Errorf("%v, %v", outcomes, err)
	}
	small, err := CallEachAs[int8](f, [][]int{{1}, {1000}, {3}, {2}})
	if err != nil || small[0].Value != 1 || small[3].Value != 2 {
		t.Fatal(small, err)
	}
	var conversion *ConversionError
	if !errors.As(small[1].Err, &conversion) || conversion.Path != "results[1]" {
		t.Error(small[1].Err)
	}
	wantStatus(t, "the exception beside it", small[2].Err, ErrExecutionFailed)
	ignored, err := CallEachAs[Ignored](f, [][]int{{1}, {3}})
	if err != nil || ignored[0].Err != nil {
		t.Error(ignored, err)
	}
	wantStatus(t, "an exception, when results are ignored", ignored[1].Err, ErrExecutionFailed)
}

// Goroutines that share an interpreter and a function, with single calls in between.
func TestCallManyByManyGoroutines(t *testing.T) {
	for _, busy := range []Busy{BusyWait, BusyShare} {
		interp := create(t, "def f(n, text):\n    if n % 10 == 7: raise ValueError(n)\n    return [n, text]", WithBusy(busy))
		f := function(t, interp, "f")
		var group sync.WaitGroup
		for i := range 50 {
			group.Add(1)
			go func() {
				defer group.Done()
				for k := range 20 {
					rows := make([][]any, 1+i*k%30)
					for n := range rows {
						rows[n] = []any{n, fmt.Sprint(i, k)}
					}
					outcomes, err := f.CallEach(rows)
					if err != nil {
						t.Error(err)
						return
					}
					for n, outcome := range outcomes {
						want := fmt.Sprint([]any{n, fmt.Sprint(i, k)})
						if n%10 == 7 {
							if row, ok := outcome.Err.(row).Row(); !ok || row != n {
								t.Errorf("row %d says %d", n, row)
							}
						} else if outcome.Err != nil || fmt.Sprint(outcome.Value) != want {
							t.Errorf("got %v, want %s", outcome, want)
						}
					}
					if _, err := f.Call(1, "a"); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		group.Wait()
		if err := interp.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := f.CallMany([][]any{{1, "a"}})
		wantStatus(t, "a closed interpreter", err, ErrNotFound)
	}
}
