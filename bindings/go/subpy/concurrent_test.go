package subpy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// 1,000 goroutines on 4 interpreters, with each policy.
func TestManyGoroutines(t *testing.T) {
	for _, policy := range []struct {
		name string
		busy Busy
	}{{"error", BusyRefuse}, {"wait", BusyWait}, {"share", BusyShare}} {
		t.Run(policy.name, func(t *testing.T) {
			var interps [4]*Interpreter
			for i := range interps {
				interps[i] = create(t, "def f(n, text, *, k): return {'n': n + 1, 'text': text * 2, 'k': k}", WithBusy(policy.busy))
			}
			var busy atomic.Int64
			var group sync.WaitGroup
			for i := range 1000 {
				group.Add(1)
				go func() {
					defer group.Done()
					text := fmt.Sprint("goroutine ", i, " ")
					want := fmt.Sprint(map[string]any{"n": i + 1, "text": text + text, "k": []int{i}})
					for n := 0; n < 3; {
						got, err := interps[i%4].Call("f", i, text, Kwargs{"k": []int{i}})
						if errors.Is(err, ErrBusy) && policy.busy == BusyRefuse {
							busy.Add(1)
							runtime.Gosched()
							continue
						}
						n++
						if err != nil || fmt.Sprint(got) != want {
							t.Errorf("got %v, %v, want %s", got, err, want)
						}
					}
				}()
			}
			group.Wait()
			t.Logf("%d runs found their interpreter busy", busy.Load())
		})
	}
}

// Close has one of two outcomes while calls go on, and so has each call.
func TestCloseRacesCalls(t *testing.T) {
	for _, busy := range []Busy{BusyRefuse, BusyWait, BusyShare} {
		for range 10 {
			interp := create(t, "def f(x): return x", WithBusy(busy))
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			var calls atomic.Int64
			var group sync.WaitGroup
			for i := range 4 {
				group.Add(1)
				go func() {
					defer group.Done()
					for ctx.Err() == nil {
						n, err := CallAs[int](interp, "f", i)
						switch {
						case err == nil && n == i:
							calls.Add(1)
						case errors.Is(err, ErrNotFound):
							return
						case !errors.Is(err, ErrBusy):
							t.Errorf("got %d, %v", n, err)
							return
						}
						time.Sleep(time.Duration(i+1) * 100 * time.Microsecond) // or there is never a moment to close it
					}
					t.Error("the interpreter was never closed")
				}()
			}
			waitUntil(t, "calls go on", func() bool { return calls.Load() > 10 })
			waitUntil(t, "the interpreter is closed", func() bool {
				err := interp.Close()
				if err != nil && !errors.Is(err, ErrBusy) {
					t.Errorf("closing: %v", err)
				}
				return err == nil
			})
			group.Wait()
			stop()
		}
	}
}

// Interpreters that are dropped are closed, soon and without blocking, and those that somebody still has are not.
func TestDropped(t *testing.T) {
	kept := create(t, "x = 7")
	keptID, err := kept.ID()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[int64]bool{}
	func() {
		for range 10 {
			interp, err := Create()
			if err != nil {
				t.Fatal(err)
			}
			// It takes a while to be closed: a Python thread is waited for.
			if err := interp.Exec("import threading, time; threading.Thread(target=time.sleep, args=(.05,)).start()"); err != nil {
				t.Fatal(err)
			}
			id, err := interp.ID()
			if err != nil {
				t.Fatal(err)
			}
			ids[id] = true
		}
		// Somebody who finds an interpreter has the same one, and keeps it.
		if found, err := Find(keptID); found != kept || err != nil {
			t.Errorf("%p, %v", found, err)
		}
	}()
	waitUntil(t, "all are closed", func() bool {
		runtime.GC()
		all, err := ListAll()
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, interp := range all {
			if id, err := interp.ID(); err == nil && ids[id] {
				left++
			}
		}
		return left == 0
	})
	if x, err := EvalAs[int](kept, "x"); x != 7 || err != nil {
		t.Errorf("%d, %v", x, err)
	}
}

// What ListAll returns is dropped at once here, which must not close anything.
func TestListedAreNotClosed(t *testing.T) {
	interp := create(t, "import _interpreters; id = _interpreters.create()")
	for range 5 {
		if _, err := ListAll(); err != nil {
			t.Fatal(err)
		}
		if _, err := Main(); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	if err := interp.Exec("_interpreters.destroy(id)"); err != nil {
		t.Error("an interpreter of Python code was closed:", err)
	}
}

func TestRegistryForgets(t *testing.T) {
	for range 5 {
		interp, err := Create()
		if err != nil {
			t.Fatal(err)
		}
		if err := interp.Close(); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the registry has forgotten them", func() bool {
		runtime.GC()
		registry.Lock()
		defer registry.Unlock()
		for _, in := range registry.known {
			if in.Value() == nil {
				return false
			}
		}
		return true
	})
}

// Programs are started while interpreters run: a fork that nobody may use Python in.
func TestStartingPrograms(t *testing.T) {
	interps := []*Interpreter{create(t, "def f(n): return sum(range(n))"), create(t, "def f(n): return sum(range(n))")}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, interp := range interps {
		group.Add(1)
		go func() {
			defer group.Done()
			for ctx.Err() == nil {
				if n, err := CallAs[int](interp, "f", 10000); n != 49995000 || err != nil {
					t.Errorf("%d, %v", n, err)
					return
				}
			}
		}()
	}
	for range 50 {
		if out, err := exec.Command("echo", "hello").Output(); err != nil || string(out) != "hello\n" {
			t.Errorf("%q, %v", out, err)
		}
	}
	stop()
	group.Wait()
	for _, interp := range interps {
		out, err := CallAs[string](interp, "subprocess:getoutput", "echo hello")
		if out != "hello" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	}
}

// Two interpreters run at the same time: each waits for the other without ever giving its GIL away, which with a single
// one would take for ever.
func TestParallel(t *testing.T) {
	const code = `
import mmap, sys, time
sys.setswitchinterval(1000)
def meet(path, mine, other):
    with open(path, 'r+b') as file, mmap.mmap(file.fileno(), 2) as both:
        both[mine] = 1
        end = time.monotonic() + 30
        while not both[other] and time.monotonic() < end:
            pass
        return both[other] == 1
`
	path := filepath.Join(t.TempDir(), "both")
	if err := os.WriteFile(path, []byte{0, 0}, 0o666); err != nil {
		t.Fatal(err)
	}
	met := make(chan error, 2)
	for i := range 2 {
		interp := create(t, code)
		go func() {
			ok, err := CallAs[bool](interp, "meet", path, i, 1-i)
			if err == nil && !ok {
				err = errors.New("the other one did not run")
			}
			met <- err
		}()
	}
	for range 2 {
		if err := <-met; err != nil {
			t.Error(err)
		}
	}
}

// Frames are shared, kept and given back by all goroutines: none may be in use twice.
func TestFrames(t *testing.T) {
	interp := create(t, "def f(x): return [x] * 3", WithBusy(BusyShare))
	var group sync.WaitGroup
	for i := range 50 {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range 50 {
				text := fmt.Sprint(i, ":", n)
				got, err := CallAs[[]string](interp, "f", text)
				if err != nil || len(got) != 3 || got[0] != text || got[2] != text {
					t.Errorf("got %q, %v", got, err)
				}
				if n%10 == 0 {
					_, err := interp.Call("f", make(chan int))
					wantStatus(t, "a channel", err, ErrInvalidArgument)
				}
			}
		}()
	}
	group.Wait()
}
