package subpy

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"time"
)

// ContextWithTimeLimit returns a context for runs with a time limit of their own, in place of the one that the interpreter has
// by [WithTimeLimit]. A negative one is none. The run that takes longer is a [*TimeoutError].
//
// A deadline of the context counts as well: whichever comes first ends the run.
func ContextWithTimeLimit(ctx context.Context, limit time.Duration) context.Context {
	s := settingsOf(ctx)
	s.limit = limit
	return context.WithValue(ctx, settingsKey{}, s)
}

// ContextWithOutput returns a context for runs whose output goes to the writers, in place of the interpreter's: what the run
// itself prints, not what threads print that it started. nil discards it. All of it has arrived when the run returns.
//
// Writers are called like those of [WithOutput].
func ContextWithOutput(ctx context.Context, stdout, stderr io.Writer) context.Context {
	s := settingsOf(ctx)
	s.output = &outputs{stdout: stdout, stderr: stderr}
	return context.WithValue(ctx, settingsKey{}, s)
}

// settings are what a context says about the runs that it is given to.
type settings struct {
	limit     time.Duration
	output    *outputs // nil: the interpreter's
	flags     uint32   // of requests
	submitter uint64   // of tasks for a pool
}

type settingsKey struct{}

func settingsOf(ctx context.Context) settings {
	s, _ := ctx.Value(settingsKey{}).(settings)
	return s
}

// A control is what a run has besides what it does: a way to end it, and where its output goes.
type control struct {
	ctx    context.Context
	cancel uint64
	stop   func() bool
	output uintptr
}

// control fills in what the context says about a run. Whoever calls it calls end as well. A run that was cancelled before is
// an error. A token to cancel it there is always, or when the context may want it.
func (f *frame) control(ctx context.Context, request *runRequest, always bool) (*control, error) {
	if ctx.Err() != nil {
		return nil, (&control{ctx: ctx}).explain(&InterruptedError{Exception: Exception{text: "cancelled before it began"}})
	}
	c := &control{ctx: ctx}
	s := settingsOf(ctx)
	request.flags |= s.flags
	switch {
	case s.limit > 0:
		request.timeout = milliseconds(s.limit)
	case s.limit < 0:
		request.timeout = math.MaxInt64
	}
	if s.output != nil {
		c.output = handles.add(s.output)
		request.output, request.outputData = outputCallback(), c.output
	}
	if ctx.Done() == nil && !always {
		return c, nil
	}
	if f.newCancel(); f.status != success {
		err := f.outcome()
		c.end()
		return nil, err
	}
	token := f.out
	c.cancel, request.cancel = token, token
	c.stop = context.AfterFunc(ctx, func() { fireCancel(token) }) // one that is freed already is none
	return c, nil
}

func (c *control) end() {
	if c.stop != nil {
		c.stop()
		freeCancel(c.cancel)
	}
	if c.output != 0 {
		handles.all.Delete(c.output)
	}
}

// explain says of an error of the run how the context ended it.
func (c *control) explain(err error) error {
	var interrupted *InterruptedError
	var timeout *TimeoutError
	var exception Exception
	switch {
	case c.ctx.Err() == nil:
		return err
	case errors.As(err, &interrupted):
		exception = interrupted.Exception
	case errors.As(err, &timeout) && timeout.byGo:
		exception = timeout.Exception
	default:
		return err
	}
	cause := context.Cause(c.ctx)
	if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		return &TimeoutError{exception.because(cause)}
	}
	return &InterruptedError{exception.because(c.ctx.Err(), cause)}
}

// ExecContext is [Interpreter.Exec] that ends with the context: when that is done before the statements are, they are
// interrupted by a KeyboardInterrupt. It returns when they have ended, with an [*InterruptedError], for which errors.Is finds
// context.Canceled, or a [*TimeoutError], for which it finds context.DeadlineExceeded. Both have the traceback of where Python
// was. Statements that catch the exception and come to their end anyway are no error.
//
// What waits for its interpreter, see [BusyWait], ends as well. Code of an extension module, and what waits in a system call,
// is interrupted when it returns to Python.
//
// An interrupt comes between any two steps of Python code, and may leave data of the program behind half-done. When that
// matters, close the interpreter and create another.
func (in *Interpreter) ExecContext(ctx context.Context, code string, options ...RunOption) error {
	_, err := runSource[Ignored](ctx, in, runExec, code, options)
	return err
}

// EvalContext is [Interpreter.Eval] that ends with the context, as [Interpreter.ExecContext] does.
func (in *Interpreter) EvalContext(ctx context.Context, expression string, options ...RunOption) (any, error) {
	return runSource[any](ctx, in, runEval, expression, options)
}

// EvalAsContext is [Interpreter.EvalContext] with a result of type T.
func EvalAsContext[T any](ctx context.Context, in *Interpreter, expression string, options ...RunOption) (T, error) {
	return runSource[T](ctx, in, runEval, expression, options)
}

// CallContext is [Interpreter.Call] that ends with the context, as [Interpreter.ExecContext] does.
func (in *Interpreter) CallContext(ctx context.Context, callable string, args ...any) (any, error) {
	return CallAsContext[any](ctx, in, callable, args...)
}

// CallAsContext is [Interpreter.CallContext] with a result of type T.
func CallAsContext[T any](ctx context.Context, in *Interpreter, callable string, args ...any) (T, error) {
	return run[T](ctx, in, runRequest{what: runCall}, callable, "", args)
}

// CallContext is [Function.Call] that ends with the context, as [Interpreter.ExecContext] does.
func (fn *Function) CallContext(ctx context.Context, args ...any) (any, error) {
	return CallFunctionAsContext[any](ctx, fn, args...)
}

// CallFunctionAsContext is [Function.CallContext] with a result of type T.
func CallFunctionAsContext[T any](ctx context.Context, fn *Function, args ...any) (T, error) {
	in, handle := fn.parts()
	if handle == 0 {
		return *new(T), ErrNotFound
	}
	defer runtime.KeepAlive(fn)
	return run[T](ctx, in, runRequest{what: runFunction, function: handle}, "", "", args)
}
