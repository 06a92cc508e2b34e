package subpy

import (
	"context"
	"reflect"
	"runtime"
	"unsafe"
)

// The constants of subpy.h.
const (
	runExec     = 1
	runEval     = 2
	runCall     = 3
	runFunction = 4

	keepIndent = 1
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
	return func(o *runOptions) { o.flags |= keepIndent }
}

// Exec runs statements in the interpreter's __main__, whose names last from run to run.
func (in *Interpreter) Exec(code string, options ...RunOption) error {
	_, err := runSource[Ignored](noContext, in, runExec, code, options)
	return err
}

// Eval returns the value of an expression in the interpreter's __main__.
func (in *Interpreter) Eval(expression string, options ...RunOption) (any, error) {
	return runSource[any](noContext, in, runEval, expression, options)
}

// EvalAs is [Interpreter.Eval] with a result of type T.
func EvalAs[T any](in *Interpreter, expression string, options ...RunOption) (T, error) {
	return runSource[T](noContext, in, runEval, expression, options)
}

func runSource[T any](ctx context.Context, in *Interpreter, what int32, source string, opts []RunOption) (T, error) {
	var o runOptions
	for _, option := range opts {
		if option != nil {
			option(&o)
		}
	}
	return run[T](ctx, in, runRequest{what: what, flags: o.flags}, source, o.filename, nil)
}

// noContext is for runs that nothing ends.
var noContext context.Context

// run makes a run of any kind, under a context or with noContext.
func run[T any](ctx context.Context, in *Interpreter, request runRequest, text, filename string, args []any) (result T, err error) {
	f, err := newFrame(in)
	if err != nil {
		return result, err
	}
	defer f.release(in)
	if filename != "" {
		if request.filename, err = f.cString("filename", filename); err != nil {
			return result, err
		}
	}
	if err = f.encodeArgs(args); err != nil {
		return result, err
	}
	request.flags |= resultsOf[T]()
	request.size, request.interp = unsafe.Sizeof(request), in.number()
	request.args, request.nargs, request.kwargs = f.args, f.nargs, f.keywords()
	var c *control
	if ctx != noContext {
		if c, err = f.control(ctx, &request, false); err != nil {
			return result, err
		}
		defer c.end()
		if f.counted { // Go may be called
			defer onThread(ctx)()
		}
	}
	address := place(f, request)
	if address == 0 {
		return result, ErrNoMemory
	}
	f.ignore = isIgnored[T]()
	f.run(address, text)
	f.passed(f.status)
	pins := Results(request.flags)&ResultBuffers != 0
	if err = takeFrom(f, &result, pins); err != nil && c != nil {
		err = c.explain(err)
	}
	runtime.KeepAlive(args)
	return result, err
}

// Call calls something by its name: "name" in the interpreter's __main__, or "package.module:attribute". Keyword
// arguments are given as [Kwargs], behind the others.
func (in *Interpreter) Call(callable string, args ...any) (any, error) {
	return CallAs[any](in, callable, args...)
}

// CallAs is [Interpreter.Call] with a result of type T.
func CallAs[T any](in *Interpreter, callable string, args ...any) (result T, err error) {
	if resultsOf[T]() != 0 {
		return callFor[T](in, callable, args)
	}
	f, err := newFrame(in)
	if err != nil {
		return result, err
	}
	if err = f.encodeArgs(args); err == nil {
		f.ignore = isIgnored[T]()
		f.call(in.number(), callable)
		f.passed(f.status)
		err = take(f, &result)
	}
	f.release(in)
	runtime.KeepAlive(args)
	return result, err
}

// callFor is CallAs with a result that asks for a form. It is apart because of the memory that a request takes on the stack.
//
//go:noinline
func callFor[T any](in *Interpreter, callable string, args []any) (T, error) {
	return run[T](noContext, in, runRequest{what: runCall}, callable, "", args)
}

// PrepareMain binds names in the interpreter's __main__: all of them or, when there is an error, none.
func (in *Interpreter) PrepareMain(names map[string]any) error {
	f, err := newFrame(in)
	if err != nil {
		return err
	}
	defer f.release(in)
	if err := f.encodeMap(&f.kwargs, names, 0); err != nil {
		return err.of("names", true)
	}
	f.prepareMain(in.number())
	f.passed(f.status)
	runtime.KeepAlive(names)
	return f.outcome()
}

// take reads the result of a run.
func take[T any](f *frame, to *T) error {
	return takeFrom(f, to, true)
}

// takeFrom is take that knows whether there may be pinned memory in the result.
func takeFrom[T any](f *frame, to *T, pins bool) error {
	if f.status != success {
		return f.outcome()
	}
	r := reading{root: &f.result, pins: pins}
	err := decodeTo(&r, &f.result, to)
	if err != nil || r.special() {
		r.finish(f, err)
	}
	if err != nil {
		return err.of("result", false)
	}
	return nil
}

func isIgnored[T any]() bool {
	_, ignored := any((*T)(nil)).(*Ignored)
	return ignored
}

// keywords is the address of the keyword arguments, 0 when there are none.
func (f *frame) keywords() uintptr {
	if f.kwargs.kind != kindDict {
		return 0
	}
	return uintptr(unsafe.Pointer(&f.kwargs))
}

// encodeArgs writes the arguments of a call into the frame.
func (f *frame) encodeArgs(args []any) error {
	f.args, f.nargs, f.kwargs = 0, 0, value{}
	if len(args) == 0 {
		return nil
	}
	var err *ConversionError
	switch kwargs := args[len(args)-1].(type) {
	case Kwargs:
		args = args[:len(args)-1]
		err = f.encodeMap(&f.kwargs, kwargs, 0)
	case OrderedKwargs:
		args = args[:len(args)-1]
		err = f.encodeReflect(&f.kwargs, reflect.ValueOf(Dict(kwargs)), 0)
	}
	if err != nil {
		return err.of("kwargs", true)
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
