package subpy

import (
	"context"
	"fmt"
	"runtime"
)

// A Function is a callable that was looked up once, to be called many times. It holds the object that was found: binding
// the name to something else later does not change it. Its methods may be called by any goroutine at any time. Those of a
// nil or zero Function, and of one that was freed or whose interpreter was closed, return [ErrNotFound].
//
// A Function that the program drops is freed.
type Function struct {
	_        noCopy
	handle   uint64
	in       *Interpreter // keeps it from being closed
	callable string
}

// Function looks a callable up, as [Interpreter.Call] does.
func (in *Interpreter) Function(callable string) (*Function, error) {
	f, err := newFrame(in)
	if err != nil {
		return nil, err
	}
	defer f.release(in)
	if f.newFunction(in.number(), callable); f.status != success {
		return nil, f.outcome()
	}
	fn := &Function{handle: f.out, in: in, callable: callable}
	runtime.AddCleanup(fn, freeFunction, fn.handle)
	return fn, nil
}

// Call calls the function. Keyword arguments are given as [Kwargs], behind the others.
func (fn *Function) Call(args ...any) (any, error) {
	return CallFunctionAs[any](fn, args...)
}

// CallFunctionAs is [Function.Call] with a result of type T.
func CallFunctionAs[T any](fn *Function, args ...any) (result T, err error) {
	in, handle := fn.parts()
	if resultsOf[T]() != 0 && handle != 0 {
		return callFunctionFor[T](fn, args)
	}
	f, err := newFrame(in)
	if err != nil {
		return result, err
	}
	if err = f.encodeArgs(args); err == nil {
		f.ignore = isIgnored[T]()
		f.callFunction(handle)
		f.passed(f.status)
		err = take(f, &result)
	}
	f.release(in)
	runtime.KeepAlive(args)
	runtime.KeepAlive(fn)
	return result, err
}

// callFunctionFor is to CallFunctionAs what callFor is to CallAs.
//
//go:noinline
func callFunctionFor[T any](fn *Function, args []any) (T, error) {
	defer runtime.KeepAlive(fn)
	return run[T](noContext, fn.in, runRequest{what: runFunction, function: fn.handle}, "", "", args)
}

// CallInThread starts a call on a new OS thread, as [Interpreter.CallInThread] does. The function may be freed meanwhile.
func (fn *Function) CallInThread(args ...any) (*Thread, error) {
	return fn.CallInThreadContext(context.Background(), args...)
}

// CallInThreadContext is [Function.CallInThread] of a call that ends with the context, as [Interpreter.ExecContext] does.
func (fn *Function) CallInThreadContext(ctx context.Context, args ...any) (*Thread, error) {
	in, handle := fn.parts()
	if handle == 0 {
		return nil, ErrNotFound
	}
	defer runtime.KeepAlive(fn)
	return start(ctx, in, handle, "", args)
}

// Free frees the function. Calls that are running finish.
func (fn *Function) Free() {
	if _, handle := fn.parts(); handle != 0 {
		freeFunction(handle)
	}
	runtime.KeepAlive(fn)
}

// String returns "math:sqrt in interpreter 3".
func (fn *Function) String() string {
	if fn == nil || fn.in == nil {
		return "no function"
	}
	return fmt.Sprintf("%s in %v", fn.callable, fn.in)
}

// parts are nil and 0, the handle of no function, for nil.
func (fn *Function) parts() (in *Interpreter, handle uint64) {
	if fn == nil {
		return nil, 0
	}
	return fn.in, fn.handle
}
