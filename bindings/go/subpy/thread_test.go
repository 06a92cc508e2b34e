package subpy

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestThread(t *testing.T) {
	interp := create(t, "import threading\ndef f(x): return [x, threading.current_thread() is threading.main_thread()]\ndef bad(): 1/0")
	thread, err := interp.CallInThread("f", "a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := thread.Join(); err != nil || sprint(got) != "[a false]" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = thread.Join()
	wantStatus(t, "a second join", err, ErrNotFound)
	thread.Free()

	thread, err = interp.CallInThread("bad")
	if err != nil {
		t.Fatal(err)
	}
	_, err = thread.Join()
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || failed.Type != "ZeroDivisionError" {
		t.Errorf("got %v", err)
	}

	thread, err = interp.CallInThread("builtins:len", "abc")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := JoinAs[int8](thread); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	thread, err = interp.CallInThread("builtins:len", "abc")
	if err != nil {
		t.Fatal(err)
	}
	_, err = JoinAs[string](thread)
	wantMessage(t, "an int as a string", err, "result: a Python int does not go into a Go string")

	_, err = interp.CallInThread("f", make(chan int))
	wantStatus(t, "a channel", err, ErrInvalidArgument)
	_, err = interp.CallInThread("\xff")
	wantStatus(t, "a name that is not UTF-8", err, ErrInvalidArgument)
}

func TestThreadBusy(t *testing.T) {
	interp := create(t, "import time\nstop = False\ndef wait():\n  while not stop: time.sleep(.001)", WithBusy(BusyShare))
	strict := create(t, "import time\ndef wait(): time.sleep(.3)")
	thread, err := interp.CallInThread("wait")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the thread runs", func() bool { running, _ := interp.IsRunning(); return running })
	wantStatus(t, "closing", interp.Close(), ErrBusy)
	wantStatus(t, "shutting down", Shutdown(), ErrBusy)
	if err := interp.Exec("stop = True"); err != nil {
		t.Fatal(err)
	}
	if v, err := thread.Join(); v != nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}

	thread, err = strict.CallInThread("wait")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the thread runs", func() bool { running, _ := strict.IsRunning(); return running })
	wantMessage(t, "a run meanwhile", strict.Exec("1"), "interpreter already running")
	second, err := strict.CallInThread("builtins:len", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Join()
	wantStatus(t, "a thread meanwhile", err, ErrBusy)
	if _, err := thread.Join(); err != nil {
		t.Error(err)
	}
}

// A thread that is freed, or dropped, goes on and keeps nothing from working.
func TestThreadFree(t *testing.T) {
	interp := create(t, "import time\ndone = []\ndef late(x): time.sleep(.02); done.append(x)", WithBusy(BusyShare))
	freed, err := interp.CallInThread("late", 1)
	if err != nil {
		t.Fatal(err)
	}
	freed.Free()
	_, err = freed.Join()
	wantStatus(t, "joining a freed thread", err, ErrNotFound)
	if _, err := interp.CallInThread("late", 2); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	waitUntil(t, "both are done", func() bool {
		n, err := EvalAs[int](interp, "len(done)")
		return n == 2 && err == nil
	})
}

// Python's own threads go on between runs.
func TestPythonThreads(t *testing.T) {
	interp := create(t, "import threading\nready = threading.Event()\nresult = []\nthreading.Thread(target=lambda: (ready.wait(), result.append(1))).start()")
	if err := interp.Exec("ready.set()"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the Python thread is done", func() bool {
		n, err := EvalAs[int](interp, "len(result)")
		return n == 1 && err == nil
	})
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("never: " + strings.TrimSpace(what))
}
