package subpy

import (
	"context"
	"runtime"
	"sync"
	"syscall"
)

// A Call is a call of a Go function by Python code, for a function that has a *Call for its first parameter. See
// [Interpreter.Define].
type Call struct {
	// Kwargs are the keyword arguments, nil when there are none.
	Kwargs Dict

	h      *hostFunction
	ctx    context.Context
	cancel context.CancelFunc
}

func newCall(h *hostFunction) *Call {
	call := &Call{h: h}
	call.ctx, call.cancel = context.WithCancel(contextOfThread())
	return call
}

// Interpreter returns the interpreter whose Python code makes the call.
func (c *Call) Interpreter() *Interpreter {
	return known(c.h.kept.interp)
}

// Context returns a context that is done when the call has ended. It is derived from the context that the run was given, so it
// has its values, and is done when that is, or when the time is over that [ContextWithTimeLimit] set. A function that may wait
// for long uses it: Python cannot be stopped before the function returns.
//
// It does not know of the interpreter's time limit and of [Interpreter.Interrupt]; nor, on threads of Python's own and those of
// [Interpreter.CallInThread], of any run.
func (c *Call) Context() context.Context {
	return c.ctx
}

// threads has the contexts of the runs that may call Go, by the OS threads that they are on.
var threads sync.Map // int to context.Context

func contextOfThread() context.Context {
	if ctx, ok := threads.Load(syscall.Gettid()); ok {
		return ctx.(context.Context)
	}
	return context.Background()
}

// onThread says that the thread is in a run with the context. The goroutine stays on it until it calls what is returned.
func onThread(ctx context.Context) (leave func()) {
	runtime.LockOSThread()
	thread := syscall.Gettid()
	outer, nested := threads.Swap(thread, ctx)
	return func() {
		if nested {
			threads.Store(thread, outer)
		} else {
			threads.Delete(thread)
		}
		runtime.UnlockOSThread()
	}
}
