package subpy

import (
	"context"
	"errors"
	"runtime"
	"sync"
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
	pool   *Pool        // as well
	ends   *threadEnd
}

// A threadEnd is what there is to give back when the thread is joined, freed or dropped.
type threadEnd struct {
	once    sync.Once
	handle  uint64
	control *control
	kept    *kept // of the interpreter, nil when that has none

	asked  sync.Once
	notice *notice // nil until somebody wants to know when the call has ended
}

// A notice is told when a thread is done.
type notice struct {
	done  chan struct{}
	after func() // nil when there is nothing to do
}

func (n *notice) finish() {
	if n.after != nil {
		n.after()
	}
	close(n.done)
}

// notify asks for a notice, once. What is to be done after the call is done by then.
func (e *threadEnd) notify(after func()) {
	e.asked.Do(func() {
		e.notice = &notice{make(chan struct{}), after}
		handle := handles.add(e.notice)
		f, err := newFrame(nil)
		if err == nil {
			defer f.release(nil)
			if f.notify(e.handle, handle); f.status == success {
				return
			}
			f.outcome()
		}
		finalized(handle) // it was joined
	})
}

func (e *threadEnd) end() {
	e.once.Do(func() {
		e.control.end()
		if e.kept != nil {
			e.kept.end()
		}
	})
}

func dropThread(e *threadEnd) {
	freeThread(e.handle)
	e.end()
}

// CallInThread starts a call, as [Interpreter.Call] makes it, on a new OS thread. The arguments are copied first. Errors
// of the call itself, [ErrBusy] among them, come from [Thread.Join].
//
// A goroutine that uses Call does the same; a Thread is for what has to be like in Python.
func (in *Interpreter) CallInThread(callable string, args ...any) (*Thread, error) {
	return start(context.Background(), in, 0, callable, args)
}

// CallInThreadContext is [Interpreter.CallInThread] of a call that ends with the context, as [Interpreter.ExecContext] does.
func (in *Interpreter) CallInThreadContext(ctx context.Context, callable string, args ...any) (*Thread, error) {
	return start(ctx, in, 0, callable, args)
}

// start starts a call of a callable by its name or, when it is not 0, of a function.
func start(ctx context.Context, in *Interpreter, function uint64, callable string, args []any) (*Thread, error) {
	request := runRequest{interp: in.number(), what: runFunction, function: function}
	if function == 0 {
		request.what = runCall
	}
	return launch(ctx, in, request, "", args, func(f *frame, request uintptr) { f.start(request, callable) })
}

// launch starts a run of any kind, in whatever way.
func launch(ctx context.Context, in *Interpreter, request runRequest, filename string, args []any,
	begin func(f *frame, request uintptr)) (*Thread, error) {
	f, err := newFrame(in)
	if err != nil {
		return nil, err
	}
	defer f.release(in)
	if filename != "" {
		if request.filename, err = f.cString("filename", filename); err != nil {
			return nil, err
		}
	}
	if err := f.encodeArgs(args); err != nil {
		return nil, err
	}
	request.size = unsafe.Sizeof(request)
	request.args, request.nargs, request.kwargs = f.args, f.nargs, f.keywords()
	ends := &threadEnd{}
	if ends.control, err = f.control(ctx, &request, true); err != nil {
		return nil, err
	}
	address := place(f, request)
	if address == 0 {
		ends.end()
		return nil, ErrNoMemory
	}
	if f.counted {
		ends.kept = in.kept.Load()
		ends.kept.begin()
	}
	begin(f, address)
	f.passed(f.status)
	runtime.KeepAlive(args)
	if f.status != success {
		ends.end()
		return nil, ends.control.explain(f.outcome())
	}
	ends.handle = f.out
	t := &Thread{handle: f.out, in: in, ends: ends}
	runtime.AddCleanup(t, dropThread, ends)
	return t, nil
}

// Join waits for the call to end and returns its result. It does so once: the next Join is [ErrNotFound].
func (t *Thread) Join() (any, error) {
	return JoinAs[any](t)
}

// JoinContext is [Thread.Join] that cancels the call when the context is done. It waits for the call's end all the same.
func (t *Thread) JoinContext(ctx context.Context) (any, error) {
	return JoinAsContext[any](ctx, t)
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
	err = take(f, &result)
	if t != nil && t.ends != nil {
		if err != nil {
			err = t.ends.control.explain(err)
		}
		if !errors.Is(err, ErrNotFound) { // of another goroutine, which joins it
			t.ends.end()
		}
	}
	runtime.KeepAlive(t)
	return result, err
}

// JoinAsContext is [Thread.JoinContext] with a result of type T.
func JoinAsContext[T any](ctx context.Context, t *Thread) (T, error) {
	if t.number() != 0 {
		defer context.AfterFunc(ctx, func() { fireCancel(t.ends.control.cancel) })()
	}
	result, err := JoinAs[T](t)
	if err != nil {
		err = (&control{ctx: ctx}).explain(err)
	}
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
	f.out = 0
	f.wait(t.number(), milliseconds(timeout))
	runtime.KeepAlive(t)
	return f.out != 0, f.outcome()
}

// Done returns a channel that is closed when the call has ended, or its thread was joined or freed. It takes nothing: the result is
// for [Thread.Join], which does not wait then. A goroutine that waits for the channel takes no OS thread.
func (t *Thread) Done() <-chan struct{} {
	if t.number() == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	t.ends.notify(nil)
	runtime.KeepAlive(t)
	return t.ends.notice.done
}

// milliseconds is a timeout for C, where a negative one has no end.
func milliseconds(timeout time.Duration) int64 {
	if timeout < 0 {
		return -1
	}
	count := int64(timeout / time.Millisecond)
	if timeout%time.Millisecond != 0 {
		count++ // or it would end before the timeout
	}
	return count
}

// Free forgets the thread. It goes on by itself; if its call fails, the traceback is printed to stderr. Keep the
// interpreter meanwhile: one that is dropped may be closed before the call begins.
func (t *Thread) Free() {
	if t.number() != 0 {
		dropThread(t.ends)
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
