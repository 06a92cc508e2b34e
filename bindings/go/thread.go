package subpy

/*
#include "bridge.h"
*/
import "C"

import "runtime"

// A Thread is a call on a thread of its own, until it is joined or freed. Its methods may be called by any goroutine at
// any time. Those of a nil or zero Thread return [ErrNotFound].
//
// A Thread that the program drops is freed.
type Thread struct {
	_      noCopy
	handle C.subpy_thread
	in     *Interpreter // keeps it from being closed before the call begins
}

// CallInThread starts a call, as [Interpreter.Call] makes it, on a new OS thread. The arguments are copied first. Errors
// of the call itself, [ErrBusy] among them, come from [Thread.Join].
//
// A goroutine that uses Call does the same; a Thread is for what has to be like in Python.
func (in *Interpreter) CallInThread(callable string, args ...any) (*Thread, error) {
	f := newFrame(in)
	if f == nil {
		return nil, ErrNoMemory
	}
	defer f.release(in)
	if err := f.encodeArgs(args); err != nil {
		return nil, err
	}
	var handle C.subpy_thread
	C.subpy_go_call_in_thread(C.uintptr_t(f.address()), in.number(), cText(callable), C.size_t(len(callable)), &handle)
	if err := f.outcome(); err != nil {
		return nil, err
	}
	t := &Thread{handle: handle, in: in}
	runtime.AddCleanup(t, freeThread, t.handle)
	return t, nil
}

// Join waits for the call to end and returns its result. It does so once: the next Join is [ErrNotFound].
func (t *Thread) Join() (any, error) {
	return JoinAs[any](t)
}

// JoinAs is [Thread.Join] with a result of type T. When the result does not go into a T, it is lost.
func JoinAs[T any](t *Thread) (result T, err error) {
	f := newFrame(nil)
	if f == nil {
		return result, ErrNoMemory
	}
	defer f.release(nil)
	f.ignore = false
	C.subpy_go_join(C.uintptr_t(f.address()), t.number())
	runtime.KeepAlive(t)
	err = take(f, &result)
	return result, err
}

// Free forgets the thread. It goes on by itself; if its call fails, the traceback is printed to stderr. Keep the
// interpreter meanwhile: one that is dropped may be closed before the call begins.
func (t *Thread) Free() {
	C.subpy_thread_free(t.number())
	runtime.KeepAlive(t)
}

func freeThread(handle C.subpy_thread) {
	C.subpy_thread_free(handle)
}

// number is the thread's handle. 0, which is that of no thread, stands for nil.
func (t *Thread) number() C.subpy_thread {
	if t == nil {
		return 0
	}
	return t.handle
}
