package subpy

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A Call is a call of a Go function by Python code, for a function that has a *Call for its first parameter. See
// [Interpreter.Define].
type Call struct {
	// Kwargs are the keyword arguments, nil when there are none.
	Kwargs Dict

	h   *hostFunction
	ctx callContext
}

func newCall(h *hostFunction, address uintptr) *Call {
	call := &Call{h: h}
	call.ctx.address = address
	call.ctx.Context, call.ctx.cancel = context.WithCancel(contextOfThread())
	return call
}

// Interpreter returns the interpreter whose Python code makes the call.
func (c *Call) Interpreter() *Interpreter {
	return known(c.h.kept.interp)
}

// Context returns a context that is done when the run that makes the call is cancelled or over its time, and when the call has
// ended; it does not notice [Interpreter.Interrupt]. It is derived from the context that the run was given, if that happens on
// the same thread, and has its values. A function that may wait for long uses it: Python cannot be stopped before the function
// returns.
func (c *Call) Context() context.Context {
	return &c.ctx
}

// A callContext is the context of a call. It asks the library whether the run is to end when somebody wants to know, and
// when somebody waits, now and then: a time limit tells nobody.
type callContext struct {
	context.Context
	cancel  context.CancelFunc
	address uintptr
	watched sync.Once
}

func (c *callContext) Done() <-chan struct{} {
	done := c.Context.Done()
	c.watched.Do(func() { go c.watch(done) })
	return done
}

func (c *callContext) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if isCancelled(c.address) {
		c.cancel()
	}
	return c.Context.Err()
}

func (c *callContext) watch(done <-chan struct{}) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.Err() == nil {
		select {
		case <-done:
		case <-ticker.C:
		}
	}
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
