package subpy

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// What Python keeps for a thread lasts in a session, wherever the goroutine is rescheduled meanwhile, and is new outside.
func TestSession(t *testing.T) {
	interp := create(t, "import threading\nlocal = threading.local()\ndef count():\n  local.n = getattr(local, 'n', 0) + 1\n  return local.n")
	count, err := interp.Function("count")
	if err != nil {
		t.Fatal(err)
	}
	outside := func(what string) {
		t.Helper()
		if n, err := CallAs[int](interp, "count"); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	outside("before")
	err = interp.Session(func() error {
		for want := 1; want <= 100; want += 2 {
			if n, err := CallAs[int](interp, "count"); n != want || err != nil {
				return fmt.Errorf("got %d, %v, want %d", n, err, want)
			}
			others := make(chan struct{})
			for range 4 {
				go func() { others <- struct{}{} }()
			}
			for range 4 {
				<-others
			}
			runtime.Gosched()
			if n, err := CallFunctionAs[int](count); n != want+1 || err != nil {
				return fmt.Errorf("got %d, %v, want %d", n, err, want+1)
			}
		}
		if running, err := interp.IsRunning(); running || err != nil {
			return fmt.Errorf("running %t, %v", running, err)
		}
		var group sync.WaitGroup
		group.Go(func() { outside("another goroutine meanwhile") })
		group.Wait()
		wantStatus(t, "closing", interp.Close(), ErrBusy)
		wantStatus(t, "shutting down", Shutdown(), ErrBusy)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	outside("after")
}

func TestSessionsNest(t *testing.T) {
	code := "import threading\nlocal = threading.local()\ndef count():\n  local.n = getattr(local, 'n', 0) + 1\n  return local.n"
	one, two := create(t, code), create(t, code)
	err := one.Session(func() error {
		return two.Session(func() error {
			return one.Session(func() error {
				for want := 1; want < 10; want++ {
					for _, interp := range []*Interpreter{one, two} {
						if n, err := CallAs[int](interp, "count"); n != want || err != nil {
							return fmt.Errorf("got %d, %v, want %d", n, err, want)
						}
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Error(err)
	}
	for _, interp := range []*Interpreter{one, two} {
		if err := interp.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSessionErrors(t *testing.T) {
	interp := create(t, "")
	mine := errors.New("mine")
	if err := interp.Session(func() error { return mine }); err != mine {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if recover() != mine {
				t.Error("the panic is gone")
			}
		}()
		interp.Session(func() error { panic(mine) })
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		interp.Session(func() error { runtime.Goexit(); return nil })
	}()
	<-done
	if err := interp.Close(); err != nil {
		t.Error("a session is left:", err)
	}
	for name, in := range map[string]*Interpreter{"nil": nil, "zero": {}, "closed": interp} {
		err := in.Session(func() error { t.Error("it was called"); return nil })
		wantStatus(t, name, err, ErrNotFound)
	}
}

func TestThreadWait(t *testing.T) {
	interp := create(t, "import os\nr, w = os.pipe()\ndef wait(): return os.read(r, 1)", WithBusy(BusyShare))
	thread, err := interp.CallInThread("wait")
	if err != nil {
		t.Fatal(err)
	}
	for _, timeout := range []time.Duration{0, time.Nanosecond, 5 * time.Millisecond} {
		if ended, err := thread.Wait(timeout); ended || err != nil {
			t.Errorf("%v: %t, %v", timeout, ended, err)
		}
	}
	start := time.Now()
	if ended, err := thread.Wait(1500 * time.Microsecond); ended || err != nil || time.Since(start) < 1500*time.Microsecond {
		t.Errorf("after %v: %t, %v", time.Since(start), ended, err)
	}
	waits := make(chan error)
	for _, timeout := range []time.Duration{-1, time.Hour, 1<<63 - 1} {
		go func() {
			ended, err := thread.Wait(timeout)
			if err == nil && !ended {
				err = fmt.Errorf("%v ended before the thread", timeout)
			}
			waits <- err
		}()
	}
	if err := interp.Exec("os.write(w, b'x')"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-waits; err != nil {
			t.Error(err)
		}
	}
	if ended, err := thread.Wait(0); !ended || err != nil {
		t.Errorf("%t, %v", ended, err)
	}
	if got, err := JoinAs[[]byte](thread); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err = thread.Wait(0)
	wantStatus(t, "after the join", err, ErrNotFound)
	for name, thread := range map[string]*Thread{"nil": nil, "zero": {}} {
		_, err := thread.Wait(-1)
		wantStatus(t, name, err, ErrNotFound)
	}
}
