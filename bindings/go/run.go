package subpy

/*
#include "bridge.h"
*/
import "C"

import (
	"unsafe"
)

// A RunOption changes how source is run.
type RunOption func(*runOptions)

type runOptions struct {
	flags    uint32
	filename string
}

// WithFilename sets the file name that tracebacks show for the source. Without it, it is "<script>".
func WithFilename(name string) RunOption {
	return func(o *runOptions) { o.filename = name }
}

// WithKeepIndent leaves the indentation of the source as it is. It is for [Interpreter.Exec] alone, which otherwise
// takes off what all lines share.
func WithKeepIndent() RunOption {
	return func(o *runOptions) { o.flags |= C.SUBPY_KEEP_INDENT }
}

// Exec runs statements in the interpreter's __main__, whose names last from run to run.
func (in *Interpreter) Exec(code string, options ...RunOption) error {
	_, err := run[Ignored](in, C.SUBPY_RUN_EXEC, code, options)
	return err
}

// Eval returns the value of an expression in the interpreter's __main__.
func (in *Interpreter) Eval(expression string, options ...RunOption) (any, error) {
	return run[any](in, C.SUBPY_RUN_EVAL, expression, options)
}

// EvalAs is [Interpreter.Eval] with a result of type T.
func EvalAs[T any](in *Interpreter, expression string, options ...RunOption) (T, error) {
	return run[T](in, C.SUBPY_RUN_EVAL, expression, options)
}

func run[T any](in *Interpreter, what C.int32_t, source string, opts []RunOption) (result T, err error) {
	var o runOptions
	for _, option := range opts {
		if option != nil {
			option(&o)
		}
	}
	f := newFrame(in)
	if f == nil {
		return result, ErrNoMemory
	}
	defer f.release(in)
	var filename unsafe.Pointer
	if o.filename != "" {
		if filename, err = f.cString("filename", o.filename); err != nil {
			return result, err
		}
	}
	f.ignore = isIgnored[T]()
	C.subpy_go_run(C.uintptr_t(f.address()), in.number(), what, C.uint32_t(o.flags),
		cText(source), C.size_t(len(source)), (*C.char)(filename))
	err = take(f, &result)
	return result, err
}

// Call calls something by its name: "name" in the interpreter's __main__, or "package.module:attribute". Keyword
// arguments are given as [Kwargs], behind the others.
func (in *Interpreter) Call(callable string, args ...any) (any, error) {
	return CallAs[any](in, callable, args...)
}

// CallAs is [Interpreter.Call] with a result of type T.
func CallAs[T any](in *Interpreter, callable string, args ...any) (result T, err error) {
	f := newFrame(in)
	if f == nil {
		return result, ErrNoMemory
	}
	if err = f.encodeArgs(args); err == nil {
		f.ignore = isIgnored[T]()
		C.subpy_go_call(C.uintptr_t(f.address()), in.number(), cText(callable), C.size_t(len(callable)))
		err = take(f, &result)
	}
	f.release(in)
	return result, err
}

// PrepareMain binds names in the interpreter's __main__: all of them or, when there is an error, none.
func (in *Interpreter) PrepareMain(names map[string]any) error {
	f := newFrame(in)
	if f == nil {
		return ErrNoMemory
	}
	defer f.release(in)
	if err := f.encodeMap(&f.kwargs, names, 0); err != nil {
		return err.of("names", true)
	}
	C.subpy_go_prepare_main(C.uintptr_t(f.address()), in.number())
	return f.outcome()
}

// cText is text for a C function that does not keep it, and is told its length.
func cText(text string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text)))
}

// outcome is the error of a run, nil when it succeeded.
func (f *frame) outcome() error {
	return newError(f.status, f.error)
}

// take reads the result of a run.
func take[T any](f *frame, to *T) error {
	if f.status != C.SUBPY_OK {
		return f.outcome()
	}
	if err := decodeTo(&f.result, to); err != nil {
		return err.of("result", false)
	}
	return nil
}

func isIgnored[T any]() bool {
	_, ignored := any((*T)(nil)).(*Ignored)
	return ignored
}

// encodeArgs writes the arguments of a call into the frame.
func (f *frame) encodeArgs(args []any) error {
	f.args, f.nargs, f.kwargs = 0, 0, value{}
	if len(args) == 0 {
		return nil
	}
	if kwargs, ok := args[len(args)-1].(Kwargs); ok {
		args = args[:len(args)-1]
		if err := f.encodeMap(&f.kwargs, kwargs, 0); err != nil {
			return err.of("kwargs", true)
		}
	}
	memory := f.alloc(uintptr(len(args)) * valueSize)
	if memory == nil {
		return errTooLarge().of("args", true)
	}
	f.args, f.nargs = uintptr(memory), uintptr(len(args))
	values := unsafe.Slice((*value)(memory), len(args))
	for i := range values {
		if err := f.encode(&values[i], args[i], 0); err != nil {
			return err.at(i).of("args", true)
		}
	}
	return nil
}
