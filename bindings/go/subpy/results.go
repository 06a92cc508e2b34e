package subpy

import (
	"context"
	"reflect"
	"sync"
)

// Results say in what form results come, besides values.
type Results uint32

// The forms of results, which are combined with |. A type of result asks for its own: *[Object], *[Buffer] and [Array], or a type
// that has them inside. For results that are any they are asked for with [ContextWithResults] and [WithResults].
const (
	ResultObject  Results = 4  // the result stays in Python, whatever it is, and is an *Object
	ResultObjects Results = 8  // what has no value, anywhere in the result, is an *Object
	ResultBuffers Results = 16 // bytes, bytearrays, arrays, memoryviews and the like in the result are a *Buffer each, not copied
	ResultArrays  Results = 32 // lists and tuples of floats, or of ints of 64 bits, are a *Buffer each, of format "d" or "q"
)

// Array is a type of result for long lists and tuples of numbers, which come in one piece and in a fraction of the time. It takes
// whatever a []T does:
//
//	samples, err := subpy.CallAs[subpy.Array[float64]](interp, "record")
type Array[T Number] []T

func (Array[T]) isArray() {}

var arrayType = reflect.TypeFor[interface{ isArray() }]()

// The constant of subpy.h.
const runAsync = 64

// ContextWithResults returns a context for runs whose results have another form than their type asks for.
func ContextWithResults(ctx context.Context, results Results) context.Context {
	s := settingsOf(ctx)
	s.flags |= uint32(results)
	return context.WithValue(ctx, settingsKey{}, s)
}

// ContextWithAsync returns a context for runs whose result is awaited when it is a coroutine, or another awaitable: it is run to
// its end on the event loop of the interpreter, or of the session.
func ContextWithAsync(ctx context.Context) context.Context {
	s := settingsOf(ctx)
	s.flags |= runAsync
	return context.WithValue(ctx, settingsKey{}, s)
}

// WithResults is [ContextWithResults] for source.
func WithResults(results Results) RunOption {
	return func(o *runOptions) { o.flags |= uint32(results) }
}

// WithAsync is [ContextWithAsync] for source.
func WithAsync() RunOption {
	return func(o *runOptions) { o.flags |= runAsync }
}

// resultsOf are the forms that a type of result asks for. The types that programs use most are told apart one by one, as in decodeTo.
func resultsOf[T any]() uint32 {
	none := any((*T)(nil))
	if _, ok := none.(*any); ok {
		return 0
	}
	if _, ok := none.(*int); ok {
		return 0
	}
	if _, ok := none.(*float64); ok {
		return 0
	}
	if _, ok := none.(*string); ok {
		return 0
	}
	return resultsOfType(reflect.TypeFor[T]())
}

func resultsOfType(t reflect.Type) uint32 {
	if t == objectType {
		return uint32(ResultObject)
	}
	if known, ok := knownResults.Load(t); ok {
		return known.(uint32)
	}
	all := &resultTypes{seen: map[reflect.Type]bool{}}
	all.add(t)
	if all.hasAny {
		all.results &^= ResultArrays // or what is any would be a Buffer as well
	}
	knownResults.Store(t, uint32(all.results))
	return uint32(all.results)
}

var knownResults sync.Map // reflect.Type to uint32

// resultTypes are the types that a type is made of.
type resultTypes struct {
	seen    map[reflect.Type]bool
	hasAny  bool
	results Results
}

func (all *resultTypes) add(t reflect.Type) {
	if all.seen[t] {
		return
	}
	all.seen[t] = true
	switch t {
	case objectType:
		all.results |= ResultObjects
		return
	case bufferType:
		all.results |= ResultBuffers
		return
	case queueType, bigIntType, timeType:
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		all.hasAny = true
	case reflect.Slice:
		if t.Implements(arrayType) {
			all.results |= ResultArrays
		}
		all.add(t.Elem())
	case reflect.Pointer, reflect.Array:
		all.add(t.Elem())
	case reflect.Map:
		all.add(t.Key())
		all.add(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			all.add(t.Field(i).Type)
		}
	}
}
