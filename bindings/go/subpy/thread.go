package subpy

import (
	"runtime"
	"time"
	"unsafe"
)

// A Thread is a call on a thread of its own, until it is joined or freed. Its methods may be called by any goroutine at
// any time. Those of a nil or zero Thread return [ErrNotFound].
//
// A Thread that the program drops is freed.
type Thread struct {
	_      noCopy
	handle uint64
	in     *Interpreter // keeps it from being closed before the call begins
}

// CallInThread starts a call, as [Interpreter.Call] makes it, on a new OS thread. The arguments are copied first. Errors
// of the call itself, [ErrBusy] among them, come from [Thread.Join].
//
// A goroutine that uses Call does the same; a Thread is for what has to be like in Python.
func (in *Interpreter) CallInThread(callable string, args ...any) (*Thread, error) {
	return start(in, 0, callable, args)
}

// start starts a call of a callable by its name or, when it is not 0, of a function.
func start(in *Interpreter, function uint64, callable string, args []any) (*Thread, error) {
	f, err := newFrame(in)
	if err != nil {
		return nil, err
	}
	defer f.release(in)
	if err := f.encodeArgs(args); err != nil {
		return nil, err
	}
	request := runRequest{
		size:     unsafe.Sizeof(runRequest{}),
		interp:   in.number(),
		what:     runFunction,
		function: function,
		args:     f.args,
		nargs:    f.nargs,
		kwargs:   f.keywords(),
	}
	if function == 0 {
		request.what = runCall
	}
	address := place(f, request)
	if address == 0 {
		return nil, ErrNoMemory
	}
	if f.start(address, callable); f.status != success {
		return nil, f.outcome()
	}
	t := &Thread{handle: f.out, in: in}
	runtime.AddCleanup(t, freeThread, t.handle)
	return t, nil
}

// Join waits for the call to end and returns its result. It does so once: the next Join is [ErrNotFound].
func (t *Thread) Join() (any, error) {
	return JoinAs[any](t)
}

// JoinAs is [Thread.Join] with a result of type T. When the result does not go into a T, it is lost.
func JoinAs[T any](t *Thread) (result T, err error) {
	f, err := newFrame(nil)
	if err != nil {
		return result, err
	}
	defer f.release(nil)
	f.ignore = false
	f.join(t.number())
	runtime.KeepAlive(t)
	err = take(f, &result)
	return result, err
}

// Wait waits for the call to end, for at most the timeout, and tells whether it has ended. It takes nothing: the result is
// for [Thread.Join]. A timeout of 0 does not wait, a negative one waits as long as it takes.
func (t *Thread) Wait(timeout time.Duration) (ended bool, err error) {
	f, err := newFrame(nil)
	if err != nil {
		return false, err
	}
	defer f.release(nil)
	milliseconds := int64(-1)
	if timeout >= 0 {
		milliseconds = int64(timeout / time.Millisecond)
		if timeout%time.Millisecond != 0 {
			milliseconds++ // or it would end before the timeout
		}
	}
	f.out = 0
	f.wait(t.number(), milliseconds)
	runtime.KeepAlive(t)
	return f.out != 0, f.outcome()
}

// Free forgets the thread. It goes on by itself; if its call fails, the traceback is printed to stderr. Keep the
// interpreter meanwhile: one that is dropped may be closed before the call begins.
func (t *Thread) Free() {
	if handle := t.number(); handle != 0 {
		freeThread(handle)
	}
	runtime.KeepAlive(t)
}

// number is the thread's handle. 0, which is that of no thread, stands for nil.
func (t *Thread) number() uint64 {
	if t == nil {
		return 0
	}
	return t.handle
}
