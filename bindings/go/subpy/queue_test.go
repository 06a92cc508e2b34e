package subpy

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestQueue(t *testing.T) {
	q := must(NewQueue(2))
	defer q.Free()
	check(q.Put(1))
	check(q.TryPut([]any{"a", map[string]any{"b": 2.5}}))
	if err := q.TryPut(3); !errors.Is(err, ErrQueueFull) || !errors.Is(err, ErrTimeout) {
		t.Error("full:", err)
	}
	if n, err := q.Len(); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	info, err := q.Info()
	if err != nil || info.Capacity != 2 || info.Len != 2 || info.Closed || info.ID == 0 {
		t.Errorf("%+v, %v", info, err)
	}
	if other := must(must(NewQueue(0)).Info()); other.ID == info.ID || other.Capacity != 0 {
		t.Errorf("%+v", other)
	}
	if n, err := GetAs[int](q); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if v, err := q.TryGet(); err != nil || !reflect.DeepEqual(v, []any{"a", map[string]any{"b": 2.5}}) {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := q.TryGet(); !errors.Is(err, ErrQueueEmpty) || !errors.Is(err, ErrTimeout) {
		t.Error("empty:", err)
	}
	wantMessage(t, "no value", q.Put(make(chan int)), "value: chan int cannot be passed")
	check(q.Put("x"))
	_, err = GetAs[int](q)
	wantMessage(t, "another type", err, "result: a Python str does not go into a Go int")
	check(q.Put("last"))
	check(q.Close())
	check(q.Close())
	if err := q.Put(1); !errors.Is(err, ErrQueueClosed) || !errors.Is(err, ErrWrongState) {
		t.Error("closed:", err)
	}
	var all []any
	for v, err := range q.Iter(context.Background()) {
		check(err)
		all = append(all, v)
	}
	if !reflect.DeepEqual(all, []any{"last"}) {
		t.Error(all)
	}
	_, err = q.Get()
	if !errors.Is(err, ErrQueueClosed) {
		t.Error("closed and empty:", err)
	}
	q.Free()
	q.Free()
	var nothing *Queue
	nothing.Free()
	for what, err := range map[string]error{
		"nil get": second(nothing.Get()), "nil put": nothing.Put(1), "nil len": second(nothing.Len()), "nil close": nothing.Close(),
		"zero get": second(new(Queue).Get()), "freed get": second(q.Get()), "freed put": q.Put(1),
		"freed iteration": last(q.Iter(context.Background())),
	} {
		wantStatus(t, what, err, ErrNotFound)
	}
}

const echo = `
import threading
def echo(requests, replies):
    for x in requests:
        replies.put(x * 2)
    replies.close()
`

// Queues between Go and an interpreter, where both wait for the other.
func TestQueueEcho(t *testing.T) {
	interp := create(t, echo)
	requests, replies := must(NewQueue(3)), must(NewQueue(3))
	thread, err := interp.CallInThread("echo", requests, replies)
	check(err)
	const count = 500
	go func() {
		for i := range count {
			check(requests.Put(i))
		}
		check(requests.Close())
	}()
	next := 0
	for n, err := range IterQueueAs[int](context.Background(), replies) {
		if err != nil || n != 2*next {
			t.Fatalf("%d, %v, want %d", n, err, 2*next)
		}
		next++
	}
	if next != count {
		t.Errorf("%d replies", next)
	}
	if _, err := thread.Join(); err != nil {
		t.Error(err)
	}
	check(interp.PrepareMain(map[string]any{"q": requests}))
	if got := must(interp.Eval("type(q).__name__")); got != "Queue" {
		t.Error(got)
	}
	check(interp.Define("length", func(q *Queue) (int, error) { return q.Len() }))
	check(interp.Define("give", func() *Queue { return requests }))
	if n, err := EvalAs[int](interp, "length(give()) + give().qsize()"); n != 0 || err != nil {
		t.Errorf("of and to a host function: %d, %v", n, err)
	}
	if again, err := EvalAs[*Queue](interp, "q"); err != nil || !errors.Is(again.Put(1), ErrQueueClosed) {
		t.Errorf("a queue that comes back: %v", err)
	}
}

// Many goroutines wait for one queue. They take no threads.
func TestQueueManyWait(t *testing.T) {
	q := must(NewQueue(0))
	const waiting = 2000
	var sum atomic.Int64
	var all sync.WaitGroup
	for range waiting {
		all.Go(func() {
			n, err := GetAs[int](q)
			if err != nil {
				t.Error(err)
			}
			sum.Add(int64(n))
		})
	}
	for i := range waiting {
		check(q.Put(i))
	}
	all.Wait()
	if got := sum.Load(); got != waiting*(waiting-1)/2 {
		t.Errorf("the sum is %d", got)
	}
}

func TestQueueContext(t *testing.T) {
	q := must(NewQueue(1))
	cause := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(context.Background())
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- second(q.GetContext(ctx)) }()
	}
	time.Sleep(5 * time.Millisecond)
	cancel(cause)
	for range 2 {
		err := <-errs
		wantStatus(t, "a get that is cancelled", err, ErrInterrupted)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Error(err)
		}
	}
	check(q.Put(1)) // whoever was cancelled takes nothing
	_, err := q.GetContext(ctx)
	wantStatus(t, "a get after that", err, ErrInterrupted)
	wantStatus(t, "a put after that", q.PutContext(ctx, 1), ErrInterrupted)
	ctx, cancel2 := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel2()
	err = q.PutContext(ctx, 2)
	wantStatus(t, "a put over its time", err, ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrQueueFull) {
		t.Error(err)
	}
	if n, err := q.TryGet(); n != int64(1) || err != nil {
		t.Errorf("%v, %v", n, err)
	}
	ctx, cancel3 := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel3()
	_, err = q.GetContext(ctx)
	wantStatus(t, "a get over its time", err, ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrQueueEmpty) {
		t.Error(err)
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		check(q.Put("in time"))
	}()
	if v, err := q.GetContext(context.Background()); v != "in time" || err != nil {
		t.Errorf("after all that: %v, %v", v, err)
	}
}

// Whoever waits is woken when the queue is closed or freed.
func TestQueueEnds(t *testing.T) {
	for what, end := range map[string]func(q *Queue){
		"closed": func(q *Queue) { check(q.Close()) },
		"freed":  func(q *Queue) { q.Free() },
	} {
		q := must(NewQueue(1))
		errs := make(chan error)
		for range 3 {
			go func() { errs <- second(q.Get()) }()
		}
		time.Sleep(5 * time.Millisecond)
		end(q)
		for range 3 {
			if err := <-errs; !errors.Is(err, ErrQueueClosed) && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	q := must(NewQueue(1))
	check(q.Put(1))
	errs := make(chan error)
	go func() { errs <- q.Put(2) }()
	time.Sleep(5 * time.Millisecond)
	check(q.Close())
	if err := <-errs; !errors.Is(err, ErrQueueClosed) {
		t.Error("a put that waits:", err)
	}
}

// Everything that is put is taken once, whoever takes it and whoever is cancelled.
func TestQueueRaces(t *testing.T) {
	interp := create(t, "def take(q, seen):\n    for x in q: seen.put(x)")
	q, seen := must(NewQueue(4)), must(NewQueue(0))
	thread := must(interp.CallInThread("take", q, seen))
	const putters, each = 4, 200
	var put, taken sync.WaitGroup
	for p := range putters {
		put.Go(func() {
			for i := range each {
				for {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%3+1)*time.Millisecond)
					err := q.PutContext(ctx, p*each+i)
					cancel()
					if err == nil {
						break
					}
					if !errors.Is(err, ErrTimeout) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 4 {
		taken.Go(func() {
			for i := 0; ; i++ {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%4)*time.Millisecond)
				n, err := GetAsContext[int](ctx, q)
				cancel()
				switch {
				case err == nil:
					check(seen.Put(n))
				case errors.Is(err, ErrQueueClosed):
					return
				case !errors.Is(err, ErrTimeout):
					t.Error(err)
					return
				}
			}
		})
	}
	put.Wait()
	check(q.Close())
	taken.Wait()
	if _, err := thread.Join(); err != nil {
		t.Error(err)
	}
	check(seen.Close())
	times := map[int]int{}
	for n, err := range IterQueueAs[int](context.Background(), seen) {
		check(err)
		times[n]++
	}
	for n := range putters * each {
		if times[n] != 1 {
			t.Errorf("%d was taken %d times", n, times[n])
		}
	}
}

// Queues that are dropped are freed, with the files that goroutines waited for.
func TestQueuesLeave(t *testing.T) {
	before := openFiles()
	for range 300 {
		q := must(NewQueue(0))
		ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
		if _, err := q.GetContext(ctx); !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		cancel()
		if file, err := q.open(); file == nil || err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the files are closed", func() bool {
		runtime.GC()
		return openFiles() < before+50
	})
}
