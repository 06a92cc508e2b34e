package subpy

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"unsafe"
)

// An Object is an object that stays in its interpreter, whatever its type. It is the result of runs whose type of result it is:
//
//	model, err := subpy.EvalAs[*subpy.Object](interp, "Model()")
//	score, err := subpy.CallMethodAs[float64](model, "score", row)
//
// It can be an argument in its own interpreter; anywhere else it is [ErrNotShareable]. Its methods may be called by any goroutine
// at any time. Those of a nil or zero Object, and of one that was freed or whose interpreter was closed, return [ErrNotFound].
//
// Where a method returns any, what has no value is an *Object itself. An Object that the program drops is freed.
type Object struct {
	_      noCopy
	handle uint64
	in     *Interpreter // keeps it from being closed
}

var (
	objectType   = reflect.TypeFor[*Object]()
	functionType = reflect.TypeFor[*Function]()
)

func newObject(handle uint64, in *Interpreter) *Object {
	o := &Object{handle: handle, in: in}
	runtime.AddCleanup(o, freeObject, handle)
	return o
}

// object makes an Object of a part of a result, with a handle of its own.
func (r *reading) object(from *value) (*Object, *ConversionError) {
	r.handles = true
	f, err := newFrame(nil)
	if err != nil {
		return nil, conversionError("%v", err)
	}
	defer f.release(nil)
	if f.keepObject(from.data); f.status != success {
		return nil, conversionError("%v", f.outcome())
	}
	handle := f.out
	if f.objectInterp(handle); f.status != success {
		freeError(f.error)
		return newObject(handle, nil), nil // it is closed
	}
	return newObject(handle, known(f.out)), nil
}

// aboutObject calls a C function that is about an object and has a result of type T. The forms of any are those that Objects have.
func aboutObject[T any](o *Object, args []any, about func(f *frame, object uint64, flags uint32)) (result T, err error) {
	in, handle := o.parts()
	f, err := newFrame(in)
	if err != nil {
		return result, err
	}
	if err = f.encodeArgs(args); err == nil {
		f.ignore = isIgnored[T]()
		about(f, handle, objectResults[T]())
		f.passed(f.status)
		err = take(f, &result)
	}
	f.release(in)
	runtime.KeepAlive(args)
	runtime.KeepAlive(o)
	return result, err
}

// objectResults are the forms of results of Objects. Those of any are not only values.
func objectResults[T any]() uint32 {
	if _, isAny := any((*T)(nil)).(*any); isAny {
		return uint32(ResultObjects)
	}
	return resultsOf[T]()
}

// Attr returns an attribute. Python: getattr(object, name).
func (o *Object) Attr(name string) (any, error) {
	return AttrAs[any](o, name)
}

// AttrAs is [Object.Attr] with a result of type T.
func AttrAs[T any](o *Object, name string) (T, error) {
	return aboutObject[T](o, nil, func(f *frame, object uint64, flags uint32) { f.attr(object, name, flags) })
}

// Item returns an item. Python: object[key].
func (o *Object) Item(key any) (any, error) {
	return ItemAs[any](o, key)
}

// ItemAs is [Object.Item] with a result of type T.
func ItemAs[T any](o *Object, key any) (T, error) {
	switch key.(type) {
	case Kwargs, OrderedKwargs:
		return *new(T), errKwargs().of("key", true)
	}
	return aboutObject[T](o, []any{key}, func(f *frame, object uint64, flags uint32) { f.item(object, flags) })
}

// Call calls the object. Keyword arguments are given as [Kwargs], behind the others.
func (o *Object) Call(args ...any) (any, error) {
	return CallObjectAs[any](o, args...)
}

// CallObjectAs is [Object.Call] with a result of type T.
func CallObjectAs[T any](o *Object, args ...any) (T, error) {
	return aboutObject[T](o, args, func(f *frame, object uint64, flags uint32) { f.callObject(object, "", flags) })
}

// CallContext is [Object.Call] that ends with the context, as [Interpreter.ExecContext] does.
func (o *Object) CallContext(ctx context.Context, args ...any) (any, error) {
	return CallObjectAsContext[any](ContextWithResults(ctx, ResultObjects), o, args...)
}

// CallObjectAsContext is [Object.CallContext] with a result of type T.
func CallObjectAsContext[T any](ctx context.Context, o *Object, args ...any) (T, error) {
	in, handle := o.parts()
	if handle == 0 {
		return *new(T), ErrNotFound
	}
	defer runtime.KeepAlive(o)
	return run[T](ctx, in, runRequest{what: runFunction, function: handle}, "", "", args)
}

// CallMethod calls a method. Keyword arguments are given as [Kwargs], behind the others.
func (o *Object) CallMethod(name string, args ...any) (any, error) {
	return CallMethodAs[any](o, name, args...)
}

// CallMethodAs is [Object.CallMethod] with a result of type T.
func CallMethodAs[T any](o *Object, name string, args ...any) (T, error) {
	if name == "" {
		return *new(T), conversionError("a method has a name").of("name", true)
	}
	return aboutObject[T](o, args, func(f *frame, object uint64, flags uint32) { f.callObject(object, name, flags) })
}

// Iter iterates over the object: over its items, or what a generator yields. An error is the last of it. Whoever stops before
// the end leaves an iterator where it is.
//
//	for line, err := range subpy.IterAs[string](file) {
func (o *Object) Iter() iter.Seq2[any, error] {
	return IterAs[any](o)
}

// IterAs is [Object.Iter] with items of type T.
func IterAs[T any](o *Object) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		iterator, err := o.iterator()
		if err != nil {
			yield(*new(T), err)
			return
		}
		defer iterator.Free()
		for {
			item, more, err := next[T](iterator)
			if err == nil && !more || !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func next[T any](iterator *Object) (item T, more bool, err error) {
	f, err := newFrame(iterator.in)
	if err != nil {
		return item, false, err
	}
	f.out, f.ignore = 0, false
	f.next(iterator.handle, objectResults[T]())
	if more = *(*bool)(unsafe.Pointer(&f.out)); more || f.status != success {
		err = take(f, &item)
	}
	f.release(iterator.in)
	runtime.KeepAlive(iterator)
	return item, more, err
}

func (o *Object) iterator() (*Object, error) {
	in, handle := o.parts()
	f, err := newFrame(in)
	if err != nil {
		return nil, err
	}
	defer f.release(in)
	f.iter(handle)
	runtime.KeepAlive(o)
	if f.status != success {
		return nil, f.outcome()
	}
	return newObject(f.out, in), nil
}

// Value returns the object's value, a copy. It is [ErrNotShareable] when it has none.
func (o *Object) Value() (any, error) {
	return aboutObject[any](o, nil, func(f *frame, object uint64, _ uint32) { f.objectValue(object, 0) })
}

// ValueAs is [Object.Value] of type T.
func ValueAs[T any](o *Object) (T, error) {
	return aboutObject[T](o, nil, func(f *frame, object uint64, flags uint32) { f.objectValue(object, flags) })
}

// Text returns str(object).
func (o *Object) Text() (string, error) {
	return aboutObject[string](o, nil, func(f *frame, object uint64, _ uint32) { f.objectText(object) })
}

// Interpreter returns the interpreter that the object is in, which may be closed.
func (o *Object) Interpreter() *Interpreter {
	in, _ := o.parts()
	return in
}

// Free frees the object: Python's reference to it is dropped. Calls that are running finish.
func (o *Object) Free() {
	if _, handle := o.parts(); handle != 0 {
		freeObject(handle)
	}
	runtime.KeepAlive(o)
}

// String returns "object in interpreter 3". It asks nothing of Python; see [Object.Text].
func (o *Object) String() string {
	if o == nil || o.in == nil {
		return "no object"
	}
	return fmt.Sprintf("object in %v", o.in)
}

// parts are nil and 0, the handle of no object, for nil.
func (o *Object) parts() (in *Interpreter, handle uint64) {
	if o == nil {
		return nil, 0
	}
	return o.in, o.handle
}
