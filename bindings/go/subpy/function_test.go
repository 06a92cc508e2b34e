package subpy

import (
	"errors"
	"runtime"
	"testing"
	"time"
)

func TestFunction(t *testing.T) {
	interp := create(t, "def add(a, b=1, *, c=0): return a + b + c\ndef fail(): 1/0")
	add, err := interp.Function("add")
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := add.Call(2, Kwargs{"c": 10}); sum != int64(13) || err != nil {
		t.Errorf("%v, %v", sum, err)
	}
	if err := interp.Exec("add = None"); err != nil {
		t.Fatal(err)
	}
	if sum, err := CallFunctionAs[int](add, 2, 3); sum != 5 || err != nil {
		t.Errorf("after the name was bound to something else: %d, %v", sum, err)
	}
	if _, err := CallFunctionAs[Ignored](add, 1); err != nil {
		t.Error(err)
	}
	_, err = CallFunctionAs[string](add, 1)
	wantMessage(t, "an int as a string", err, "result: a Python int does not go into a Go string")
	_, err = add.Call(make(chan int))
	wantMessage(t, "a channel", err, "args[0]: chan int cannot be passed to Python")
	thread, err := add.CallInThread(5)
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := JoinAs[int](thread); sum != 6 || err != nil {
		t.Errorf("%d, %v", sum, err)
	}

	fail, err := interp.Function("fail")
	if err != nil {
		t.Fatal(err)
	}
	_, err = fail.Call()
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || failed.Type != "ZeroDivisionError" {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{"nope": "AttributeError", "nope:x": "ModuleNotFoundError", "math:pi": "TypeError"} {
		if _, err := interp.Function(name); !errors.As(err, &failed) || failed.Type != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}

	add.Free()
	_, err = add.Call(1)
	wantStatus(t, "a freed function", err, ErrNotFound)
	add.Free()
	if err := interp.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = fail.Call()
	wantStatus(t, "a function of a closed interpreter", err, ErrNotFound)
	_, err = interp.Function("fail")
	wantStatus(t, "a new one there", err, ErrNotFound)
	fail.Free()

	for name, fn := range map[string]*Function{"nil": nil, "zero": {}, "freed": add} {
		_, err := fn.Call(1)
		wantStatus(t, name+": a call", err, ErrNotFound)
		_, err = CallFunctionAs[int](fn)
		wantStatus(t, name+": a call", err, ErrNotFound)
		_, err = fn.CallInThread()
		wantStatus(t, name+": a call in a thread", err, ErrNotFound)
		fn.Free()
	}
}

// A function that is freed, or dropped, right after its call was started does not take the call with it.
func TestFunctionFreedWhileItRuns(t *testing.T) {
	interp := create(t, "def f(x): return [x] * 2", WithBusy(BusyShare))
	for i := range 200 {
		fn, err := interp.Function("f")
		if err != nil {
			t.Fatal(err)
		}
		thread, err := fn.CallInThread(i)
		if err != nil {
			t.Fatal(err)
		}
		fn.Free()
		if got, err := JoinAs[[]int](thread); err != nil || len(got) != 2 || got[1] != i {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

// A function keeps its interpreter, and gives back what it holds when it is dropped.
func TestFunctionDropped(t *testing.T) {
	interp, err := Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := interp.Exec("import weakref\nclass F:\n  def __call__(self): return 5\nf = F()\nleft = weakref.ref(f)"); err != nil {
		t.Fatal(err)
	}
	id, err := interp.ID()
	if err != nil {
		t.Fatal(err)
	}
	fn, err := interp.Function("f")
	if err != nil {
		t.Fatal(err)
	}
	if err := interp.Exec("del f"); err != nil {
		t.Fatal(err)
	}
	interp = nil
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if n, err := CallFunctionAs[int](fn); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	runtime.KeepAlive(fn)
	again, err := Find(id)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	fn = nil
	waitUntil(t, "the function is freed", func() bool {
		runtime.GC()
		gone, err := EvalAs[bool](again, "left() is None")
		return gone && err == nil
	})
}
