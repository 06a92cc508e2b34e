package subpy

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The constant of subpy.h.
const defineKeepGIL = 1

// A DefineOption changes what [Interpreter.Define] defines.
type DefineOption func(*defineOptions)

type defineOptions struct {
	flags          uint32
	signature, doc string
}

// WithSignature says what the function's arguments are, as Python writes them: "(a, b=0)". Python shows it in help(), and
// inspect.signature reads it; what is passed is not checked against it.
func WithSignature(signature string) DefineOption {
	return func(o *defineOptions) { o.signature = signature }
}

// WithDoc sets the function's __doc__.
func WithDoc(doc string) DefineOption {
	return func(o *defineOptions) { o.doc = doc }
}

// WithKeepGIL keeps the interpreter's GIL while the function runs, which makes a call cheaper. No other thread runs in the
// interpreter meanwhile, so it is for functions that take less than a microsecond, and that wait for nothing.
func WithKeepGIL() DefineOption {
	return func(o *defineOptions) { o.flags |= defineKeepGIL }
}

// Define makes a Go function callable from Python code in the interpreter: as "name" in its __main__, or, for
// "module:name", in a module, which is made when there is none: "import module" works then. What had the name before is
// replaced.
//
//	interp.Define("host:add", func(a, b int) int { return a + b })
//	interp.Exec("import host; print(host.add(1, 2))")
//
// The function takes and returns what has a place in the package's table of values; of more than one result Python gets a
// tuple. It may be variadic. Arguments that do not fit are a TypeError in Python. In front of its parameters it may have one
// more, which Python does not see: a [*Call], without which it takes no keyword arguments, or a context.Context, which is
// that of [Call.Context].
//
// A last result of type error is no result: unless it is nil, it is raised as an exception. Its type is the one that
// [Raise] names; else what Python has for a well-known error of Go, such as FileNotFoundError for fs.ErrNotExist; else
// RuntimeError. A panic is raised as a RuntimeError, with Go's stack as a note. When Python does not catch the exception,
// the run that it ends has an error for which errors.Is and errors.As find the Go error, or a [*PanicError].
//
// Other Python threads of the interpreter run while the function does. It is called by the goroutine that made the run, on
// the OS thread that the run is on, and may run more in the interpreter and in others. Python code that has started threads
// calls it on those as well, several at a time. It must return: when it ends its goroutine with runtime.Goexit, as
// testing's FailNow does, the program ends.
//
// A function that refers to its own interpreter keeps it from being closed when it is dropped; [Call.Interpreter] does not.
func (in *Interpreter) Define(name string, fn any, options ...DefineOption) error {
	var o defineOptions
	for _, option := range options {
		if option != nil {
			option(&o)
		}
	}
	host, err := newHostFunction(name, fn)
	if err != nil {
		return err
	}
	f, err := newFrame(in)
	if err != nil {
		return err
	}
	defer f.release(in)
	define := defineRequest{flags: o.flags}
	define.size = unsafe.Sizeof(define)
	if o.signature != "" {
		if define.signature, err = f.cString("signature", o.signature); err != nil {
			return err
		}
	}
	if o.doc != "" {
		if define.doc, err = f.cString("doc", o.doc); err != nil {
			return err
		}
	}
	address := place(f, define)
	if address == 0 {
		return ErrNoMemory
	}
	host.kept = keepErrors(in)
	f.define(in.number(), name, address, handles.add(host))
	return f.outcome()
}

// handles are what C code refers to by a number, until it says that it does no longer.
var handles handleTable

type handleTable struct {
	last atomic.Uint64
	all  sync.Map // uintptr to any
}

func (t *handleTable) add(object any) uintptr {
	handle := uintptr(t.last.Add(1))
	t.all.Store(handle, object)
	return handle
}

// finalized is called when C code drops a handle, or has nothing more to tell to it, on any thread.
func finalized(handle uintptr) {
	object, _ := handles.all.LoadAndDelete(handle)
	switch object := object.(type) {
	case *hostFunction:
		object.kept.drop()
	case *sharedMemory:
		object.finish()
	case *notice:
		object.finish()
	}
}

// A hostFunction is a Go function that Python calls.
type hostFunction struct {
	name     string // without the module
	fn       reflect.Value
	leading  reflect.Type // *Call or context.Context, nil when it has neither
	params   []reflect.Type
	rest     reflect.Type // of the elements of a variadic last parameter, which is not among params
	hasError bool         // whether the last result is an error
	typed    typedCall    // nil: by reflection
	kept     *kept
}

var (
	callType    = reflect.TypeFor[*Call]()
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

func newHostFunction(name string, fn any) (*hostFunction, error) {
	h := &hostFunction{name: name[strings.LastIndexByte(name, ':')+1:]}
	if of, ok := fn.(TypedFunc); ok {
		fn, h.typed = of.fn, of.call
	}
	h.fn = reflect.ValueOf(fn)
	if h.fn.Kind() != reflect.Func || h.fn.IsNil() {
		return nil, conversionError("a %T is no function", fn).of("fn", true)
	}
	t := h.fn.Type()
	for i := range t.NumIn() {
		param := t.In(i)
		switch {
		case i == 0 && (param == callType || param == contextType):
			h.leading = param
			continue
		case t.IsVariadic() && i == t.NumIn()-1:
			param = param.Elem()
			h.rest = param
		default:
			h.params = append(h.params, param)
		}
		if !hasPlace(param) {
			return nil, conversionError("its parameter %d is a %s, which Python has nothing for", i+1, param).of("fn", true)
		}
	}
	for i := range t.NumOut() {
		result := t.Out(i)
		if i == t.NumOut()-1 && result == errorType {
			h.hasError = true
		} else if !hasPlace(result) {
			return nil, conversionError("its result %d is a %s, which Python has nothing for", i+1, result).of("fn", true)
		}
	}
	return h, nil
}

// hasPlace tells whether a type may have a counterpart in Python. What it is made of is seen when a value is converted.
func hasPlace(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	}
	return true
}

// A reply is where the result of a host function goes. Text and containers need a frame.
type reply struct {
	value *value // in C memory
	frame *frame
}

// called calls a host function. It returns whether the result is yet to be handed to C.
func called(handle, call uintptr, args []value, kwargs, result *value) (pending bool) {
	object, ok := handles.all.Load(handle)
	if !ok {
		return false // it cannot be: it is finalized after its last call
	}
	h := object.(*hostFunction)
	r := reply{value: result}
	if err := h.guarded(&r, call, args, kwargs); err != nil {
		h.raise(call, err)
	} else if r.frame == nil {
		return true
	} else {
		status := contextReturn(call, result)
		r.frame.passed(status)
		if status == ErrNoMemory { // else Python has been told what is wrong
			h.raise(call, status)
		}
	}
	if r.frame != nil {
		r.frame.release(nil)
	}
	return false
}

// guarded calls the function so that a panic is an error.
func (h *hostFunction) guarded(r *reply, call uintptr, args []value, kwargs *value) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		reason := recover()
		if reason == nil {
			die("the host function " + h.name + "() called runtime.Goexit, as testing's FailNow does, and Python waits for it to return")
		}
		err = &PanicError{Value: reason, Stack: panicStack()}
	}()
	switch {
	case kwargs != nil && h.leading != callType:
		err = typeError("%s() takes no keyword arguments", h.name)
	case len(args) < len(h.params) || len(args) > len(h.params) && h.rest == nil:
		err = h.wrongNumber(len(args))
	case h.typed != nil:
		err = h.typed(h, r, args)
	default:
		err = h.reflected(r, call, args, kwargs)
	}
	returned = true
	return err
}

// die ends the program as a panic that nobody recovers does. The goroutine of the caller cannot go on.
func die(message string) {
	go func() { panic("subpy: " + message) }()
	select {}
}

// guarded calls a function of the program's for C, through which it must not panic.
func guarded(what string, call func()) {
	returned := false
	defer func() {
		if !returned {
			if reason := recover(); reason != nil {
				die(fmt.Sprintf("%s panicked: %v\n%s", what, reason, panicStack()))
			}
			die(what + " called runtime.Goexit, and Python waits for it to return")
		}
	}()
	call()
	returned = true
}

func (h *hostFunction) wrongNumber(given int) error {
	count, least, was := len(h.params), "", "were"
	if h.rest != nil {
		least = "at least "
	}
	if given == 1 {
		was = "was"
	}
	arguments := "arguments"
	if count == 1 {
		arguments = "argument"
	}
	return typeError("%s() takes %s%d positional %s but %d %s given", h.name, least, count, arguments, given, was)
}

func typeError(format string, a ...any) error {
	return Raise("TypeError", fmt.Sprintf(format, a...))
}

// badArgument is the error of an argument that does not fit.
func (h *hostFunction) badArgument(i int, err *ConversionError) error {
	return typeError("%s(): %s: %s", h.name, err.at(i).of("args", false).Path, err.Problem)
}

func (h *hostFunction) reflected(r *reply, address uintptr, args []value, kwargs *value) error {
	in := make([]reflect.Value, 0, len(args)+1)
	read := reading{}
	if h.leading != nil {
		call := newCall(h, address)
		defer call.ctx.cancel()
		if kwargs != nil {
			var err *ConversionError
			if call.Kwargs, err = decodeDict(&reading{ordered: true}, kwargs.pairs()); err != nil {
				return typeError("%s(): %s: %s", h.name, err.of("kwargs", false).Path, err.Problem)
			}
		}
		if h.leading == callType {
			in = append(in, reflect.ValueOf(call))
		} else {
			in = append(in, reflect.ValueOf(call.Context()))
		}
	}
	for i := range args {
		t := h.rest
		if i < len(h.params) {
			t = h.params[i]
		}
		arg := reflect.New(t).Elem()
		if err := decode(&read, &args[i], arg); err != nil {
			return h.badArgument(i, err)
		}
		in = append(in, arg)
	}
	out := h.fn.Call(in)
	if h.hasError {
		last := len(out) - 1
		if err := out[last]; !err.IsNil() {
			return err.Interface().(error)
		}
		out = out[:last]
	}
	return h.results(r, out)
}

// results writes what the function returned: nothing, a value, or a tuple of several.
func (h *hostFunction) results(r *reply, out []reflect.Value) error {
	if len(out) == 0 {
		*r.value = value{}
		return nil
	}
	var err *ConversionError
	if len(out) == 1 {
		switch out[0].Kind() {
		case reflect.Bool, reflect.Float32, reflect.Float64,
			reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			err = r.frame.encodeReflect(r.value, out[0], 0) // needs no frame
		default:
			if err := r.needsFrame(); err != nil {
				return err
			}
			err = r.frame.encodeReflect(r.value, out[0], 0)
		}
		return h.badResult(err)
	}
	if err := r.needsFrame(); err != nil {
		return err
	}
	items, err := r.frame.values(r.value, kindTuple, len(out), 0)
	for i := range items {
		if err == nil {
			if err = r.frame.encodeReflect(&items[i], out[i], 1); err != nil {
				err = err.at(i)
			}
		}
	}
	return h.badResult(err)
}

func (r *reply) needsFrame() (err error) {
	r.frame, err = newFrame(nil)
	return err
}

func (h *hostFunction) badResult(err *ConversionError) error {
	if err == nil {
		return nil
	}
	return typeError("%s(): %s: %s", h.name, err.of("result", false).Path, err.Problem)
}

// raise has an error raised as an exception in Python, with what belongs to it.
func (h *hostFunction) raise(call uintptr, err error) {
	e := describe(err)
	if isDone(err) && (isCancelled(call) || contextOfThread().Err() != nil) {
		e.name = "KeyboardInterrupt"
		err = &stoppedError{err}
	}
	contextRaise(call, e.name, strings.ToValidUTF8(e.message, "\ufffd"))
	if e.note != "" {
		contextNote(call, strings.ToValidUTF8(e.note, "\ufffd"))
	}
	contextTag(call, h.kept.add(err))
}

// panicStack is the stack of the goroutine that panics, from the function that did.
func panicStack() string {
	stack := string(debug.Stack())
	const panicked = "\npanic("
	if at := strings.Index(stack, panicked); at >= 0 {
		lines := strings.SplitN(stack[at+1:], "\n", 3)
		if len(lines) == 3 {
			stack = lines[2]
		}
	}
	return strings.TrimRight(stack, "\n")
}
