package subpy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const jobs = `
import time
def square(x, plus=0): return x * x + plus
def fail(x):
    if x % 3 == 0: raise ValueError(f'{x} is bad')
    return x
def hang():
    while True: pass
def sleep(seconds):
    time.sleep(seconds)
    return seconds
`

// newPool returns a pool that is closed at the end of the test.
func newPool(t testing.TB, options PoolOptions) *Pool {
	t.Helper()
	if options.Setup == "" {
		options.Setup = jobs
	}
	if options.Workers == 0 {
		options.Workers = 2
	}
	p, err := NewPool(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.CloseWith(CloseOptions{Drain: true, Interrupt: true, Timeout: time.Minute}); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error("closing:", err)
		}
	})
	return p
}

func TestPool(t *testing.T) {
	ctx := context.Background()
	p := newPool(t, PoolOptions{Interpreter: []Option{WithTaggedValues()}})
	if n, err := p.Call(ctx, "square", 7); n != int64(49) || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := CallPoolAs[int](ctx, p, "square", 7, Kwargs{"plus": 1}); n != 50 || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	check(p.Exec(ctx, "square(1)"))
	if v, err := p.Eval(ctx, "{1}"); err != nil || fmt.Sprint(v) != "set [1]" {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := EvalPoolAs[[]float64](ctx, p, "[1.0, 2.0]"); err != nil || !slices.Equal(v, []float64{1, 2}) {
		t.Errorf("%v, %v", v, err)
	}
	_, err := p.Call(ctx, "fail", 3)
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || failed.Message != "3 is bad" {
		t.Error(err)
	}
	err = p.Exec(ctx, "x = (", WithFilename("broken.py"))
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || !strings.Contains(err.Error(), "broken.py") {
		t.Error(err)
	}
	_, err = p.Call(ctx, "square", make(chan int))
	wantMessage(t, "no value", err, "args[0]: chan int cannot be passed")
	_, err = CallPoolAs[string](ctx, p, "square", 1)
	wantMessage(t, "another type", err, "result: a Python int does not go into a Go string")

	thread, err := p.Submit(ctx, "square", 5)
	check(err)
	<-thread.Done()
	<-thread.Done()
	if n, err := JoinAs[int](thread); n != 25 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	<-thread.Done()
	_, err = thread.Join()
	wantStatus(t, "a second join", err, ErrNotFound)

	stats, err := p.Stats()
	if err != nil || stats.Workers != 2 || stats.Queued+stats.Running != 0 || stats.Submitted != stats.Done || stats.Failed < 2 {
		t.Errorf("%+v, %v", stats, err)
	}
	check(p.Close())
	check(ignore(p.Close(), ErrNotFound))
	var nothing *Pool
	for what, err := range map[string]error{
		"closed": second(p.Call(ctx, "square", 1)), "nil": second(nothing.Call(ctx, "square", 1)), "zero": new(Pool).Exec(ctx, ""),
		"nil submit": second(nothing.Submit(ctx, "square")), "nil stats": second(nothing.Stats()), "nil close": nothing.Close(),
		"nil map": last(nothing.Map(ctx, "square", [][]any{{1}})),
	} {
		wantStatus(t, what, err, ErrNotFound)
	}
}

// ignore is an error unless it has the status.
func ignore(err error, status Status) error {
	if errors.Is(err, status) {
		return nil
	}
	return fmt.Errorf("got %v, want %v", err, status)
}

func TestPoolContext(t *testing.T) {
	p := newPool(t, PoolOptions{Workers: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, "hang")
	wantStatus(t, "over its time", err, ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	_, err = p.Call(ContextWithTimeLimit(context.Background(), 20*time.Millisecond), "hang")
	wantStatus(t, "a time limit", err, ErrTimeout)

	ctx, cancel = context.WithCancel(context.Background())
	running := must(p.Submit(ctx, "hang"))
	waiting := must(p.Submit(ctx, "square", 1))
	other := must(p.Submit(context.Background(), "square", 2))
	time.Sleep(5 * time.Millisecond)
	cancel()
	for what, thread := range map[string]*Thread{"a task that runs": running, "one that waits": waiting} {
		_, err := thread.Join()
		wantStatus(t, what, err, ErrInterrupted)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if n, err := JoinAs[int](other); n != 4 || err != nil {
		t.Errorf("another: %d, %v", n, err)
	}
	_, err = p.Call(ctx, "square", 1)
	wantStatus(t, "cancelled before", err, ErrInterrupted)
	if stats := must(p.Stats()); stats.Replaced < 2 || stats.Cancelled < 1 {
		t.Errorf("%+v", stats)
	}
	var output strings.Builder
	check(p.Exec(ContextWithOutput(context.Background(), &output, nil), "print('hello')"))
	if output.String() != "hello\n" {
		t.Errorf("%q", output.String())
	}
}

func TestPoolPrepare(t *testing.T) {
	var prepared atomic.Int32
	var output strings.Builder
	p := newPool(t, PoolOptions{
		Workers: 1, Spares: -1, RunsPerWorker: 2,
		Setup: "import host\nbase = host.base()",
		Prepare: func(interp *Interpreter) {
			n := int(prepared.Add(1))
			check(interp.Define("host:base", func() int { return n }))
			check(interp.Define("host:fail", func() error { return errOfPool }))
		},
		Interpreter: []Option{WithOutput(&output, nil)},
	})
	var got []int
	for range 6 {
		got = append(got, must(EvalPoolAs[int](context.Background(), p, "base")))
	}
	if !slices.Equal(got, []int{1, 1, 2, 2, 3, 3}) {
		t.Error(got)
	}
	if err := p.Exec(context.Background(), "host.fail()"); !errors.Is(err, errOfPool) {
		t.Error(err)
	}
	check(p.Exec(context.Background(), "print('hello')"))
	check(p.Close())
	if output.String() != "hello\n" {
		t.Errorf("%q", output.String())
	}
	_, err := NewPool(PoolOptions{Workers: 1, Setup: "1 / 0"})
	wantStatus(t, "a setup that fails", err, ErrExecutionFailed)
	_, err = NewPool(PoolOptions{Workers: 1, Interpreter: []Option{WithPath("\x00")}})
	wantStatus(t, "an option that is wrong", err, ErrInvalidArgument)
}

var errOfPool = errors.New("a Go error")

// Far more goroutines than tasks may wait.
func TestPoolManyCallers(t *testing.T) {
	p := newPool(t, PoolOptions{Backlog: 4})
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			if n, err := CallPoolAs[int](context.Background(), p, "square", i); n != i*i || err != nil {
				t.Errorf("%d: %d, %v", i, n, err)
			}
		})
	}
	all.Wait()
	if stats := must(p.Stats()); stats.Done != 2000 || stats.Failed != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestPoolRefuse(t *testing.T) {
	p := newPool(t, PoolOptions{Workers: 1, Backlog: 1, Refuse: true})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	running := must(p.Submit(ctx, "hang"))
	waitUntil(t, "it runs", func() bool { return must(p.Stats()).Running == 1 })
	waiting := must(p.Submit(ctx, "square", 1))
	_, err := p.Submit(ctx, "square", 2)
	wantStatus(t, "one too many", err, ErrBusy)
	wantStatus(t, "closing", p.Close(), ErrBusy)
	wantStatus(t, "closing in no time", p.CloseWith(CloseOptions{Drain: true, Timeout: time.Millisecond}), ErrBusy)
	cancel()
	running.Join()
	waiting.Join()
}

func TestPoolMap(t *testing.T) {
	ctx := context.Background()
	p := newPool(t, PoolOptions{})
	rows := make([][]int, 100)
	for i := range rows {
		rows[i] = []int{i}
	}
	for _, chunk := range []int{0, 1, 7, 1000} {
		i := 0
		for n, err := range MapPoolAs[int](ctx, p, "square", rows, chunk) {
			if n != i*i || err != nil {
				t.Errorf("%d: %d, %v", i, n, err)
			}
			i++
		}
		if i != len(rows) {
			t.Errorf("%d results", i)
		}
	}
	i, bad := 0, 0
	for v, err := range p.Map(ctx, "fail", [][]any{{0}, {1}, {2}, {3}}) {
		if err != nil {
			bad++
			wantMessage(t, "a row that fails", err, fmt.Sprintf("%d is bad", i))
		} else if v != int64(i) {
			t.Errorf("%d: %v", i, v)
		}
		i++
	}
	if i != 4 || bad != 2 {
		t.Errorf("%d results, %d errors", i, bad)
	}
	for range MapPoolAs[int](ctx, p, "square", rows[:0], 1) {
		t.Error("there is a result of no rows")
	}
	wantMessage(t, "rows of two lengths", last(MapPoolAs[int](ctx, p, "square", [][]int{{1}, {1, 2}}, 1)), "rows[1]: its length is 2")
	wantMessage(t, "another type", last(MapPoolAs[string](ctx, p, "square", [][]int{{1}}, 1)), "result: a Python int does not go into a Go string")

	// What happens in the loop is the loop's.
	for range 20 {
		for range MapPoolAs[int](ctx, p, "square", rows, 3) {
			break
		}
	}
	func() {
		defer func() {
			if recover() != "in the loop" {
				t.Error("it does not panic")
			}
		}()
		for range MapPoolAs[int](ctx, p, "square", rows, 3) {
			panic("in the loop")
		}
	}()
	for n := range MapPoolAs[int](ctx, p, "square", rows[:10], 1) {
		if m, err := CallPoolAs[int](ctx, p, "square", n); m != n*n || err != nil {
			t.Error(m, err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	err := last(p.Map(short, "hang", [][]any{{}, {}, {}}))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("over its time:", err)
	}
	if n, err := CallPoolAs[int](ctx, p, "square", 3); n != 9 || err != nil {
		t.Errorf("after all that: %d, %v", n, err)
	}
}

// Tasks are submitted, cancelled and joined while the pool is closed.
func TestPoolRaces(t *testing.T) {
	for range 5 {
		p := newPool(t, PoolOptions{Backlog: 2})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 20 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(j%3+1)*time.Millisecond)
					n, err := CallPoolAs[int](ContextWithSubmitter(ctx, uint64(i)), p, "square", j)
					cancel()
					if err == nil && n != j*j {
						t.Errorf("%d: %d", j, n)
					}
					if err != nil && !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBusy) &&
						!errors.Is(err, ErrInterrupted) && !errors.Is(err, ErrWrongState) {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			time.Sleep(3 * time.Millisecond)
			p.CloseWith(CloseOptions{Drain: true, Interrupt: true, Timeout: time.Minute})
		})
		all.Wait()
	}
}

// A pool that the program drops is closed when its tasks have ended, and nothing of its tasks is left.
func TestPoolsLeave(t *testing.T) {
	workers := func() int { return len(must(ListAll())) }
	before, handlesBefore := workers(), countHandles()
	func() {
		p := must(NewPool(PoolOptions{Workers: 2, Setup: jobs, Prepare: func(*Interpreter) {}}))
		for i := range 50 {
			must(p.Submit(context.Background(), "square", i)).Done()
			must(p.Submit(context.Background(), "sleep", 0.001)).Free()
			must(p.Call(context.Background(), "square", i))
		}
	}()
	waitUntil(t, "the pool is closed", func() bool {
		runtime.GC()
		return workers() <= before && countHandles() <= handlesBefore
	})
}

func countHandles() (count int) {
	handles.all.Range(func(_, _ any) bool {
		count++
		return true
	})
	return count
}
