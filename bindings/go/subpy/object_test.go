package subpy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const model = `
import gc
class Model:
    live = 0
    def __init__(self, *weights):
        self.weights = weights
        self.names = {'a': 1}
        type(self).live += 1
    def __del__(self):
        type(self).live -= 1
    def __call__(self, x, scale=1):
        return sum(self.weights) * x * scale
    def me(self):
        return self
    def __str__(self):
        return f'model of {len(self.weights)}'
def same(a, b):
    return a is b
def count():
    try:
        yield from range(3)
        raise ValueError('enough')
    finally:
        global finished
        finished = True
`

func TestObject(t *testing.T) {
	interp := create(t, model)
	m, err := EvalAs[*Object](interp, "Model(1, 2)")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		got  func() (any, error)
		want any
	}{
		{"an attribute", func() (any, error) { return m.Attr("weights") }, Tuple{int64(1), int64(2)}},
		{"of a type", func() (any, error) { return AttrAs[[]int](m, "weights") }, []int{1, 2}},
		{"a call", func() (any, error) { return m.Call(10) }, int64(30)},
		{"with keywords", func() (any, error) { return CallObjectAs[int](m, 10, Kwargs{"scale": 2}) }, 60},
		{"with a context", func() (any, error) { return m.CallContext(context.Background(), 10) }, int64(30)},
		{"a method", func() (any, error) { return m.CallMethod("__call__", 1, Kwargs{"scale": 3}) }, int64(9)},
		{"a text", func() (any, error) { return m.Text() }, "model of 2"},
		{"an argument", func() (any, error) { return interp.Call("same", m, m) }, true},
		{"an item", func() (any, error) { return must(AttrAs[*Object](m, "names")).Item("a") }, int64(1)},
		{"of a type", func() (any, error) { return ItemAs[float64](must(AttrAs[*Object](m, "names")), "a") }, 1.0},
		{"a value", func() (any, error) { return must(AttrAs[*Object](m, "names")).Value() }, map[string]any{"a": int64(1)}},
		{"of a type", func() (any, error) { return ValueAs[map[string]int](must(AttrAs[*Object](m, "names"))) }, map[string]int{"a": 1}},
		{"itself", func() (any, error) { return interp.Call("same", must(m.CallMethod("me")), m) }, true},
		{"the interpreter", func() (any, error) { return m.Interpreter() == interp, nil }, true},
		{"in a dict", func() (any, error) { return interp.Call("builtins:len", map[string]*Object{"m": m}) }, int64(1)},
		{"a function as one", func() (any, error) { return interp.Call("builtins:callable", must(interp.Function("same"))) }, true},
		{"nil", func() (any, error) { return interp.Call("builtins:repr", (*Object)(nil)) }, "None"},
	} {
		if got, err := c.got(); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, %v, want %#v", c.what, got, err, c.want)
		}
	}
	check(interp.Define("give", func() *Object { return m }))
	if same, err := interp.Call("same", must(EvalAs[*Object](interp, "give()")), m); same != true || err != nil {
		t.Errorf("of a host function: %v, %v", same, err)
	}
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"no attribute":  {second(m.Attr("none")), "AttributeError"},
		"no item":       {second(m.Item(1)), "TypeError"},
		"no method":     {second(m.CallMethod("none")), "AttributeError"},
		"without name":  {second(m.CallMethod("")), "a method has a name"},
		"kwargs as key": {second(m.Item(Kwargs{})), "Kwargs"},
		"bad argument":  {second(m.Call(make(chan int))), "args[0]: chan int cannot be passed"},
		"bad result":    {second(AttrAs[int](m, "weights")), "result: a Python tuple does not go into a Go int"},
		"not iterable":  {last(m.Iter()), "TypeError"},
	} {
		wantMessage(t, what, c.err, c.want)
	}
	_, err = m.Value()
	wantStatus(t, "no value", err, ErrNotShareable)
	_, err = create(t, model).Call("same", m, m)
	wantStatus(t, "another interpreter", err, ErrNotShareable)

	var nothing *Object
	for what, err := range map[string]error{
		"nil":  second(nothing.Attr("x")),
		"zero": second(new(Object).Call()),
	} {
		wantStatus(t, what, err, ErrNotFound)
	}
	nothing.Free()
	m.Free()
	m.Free()
	wantStatus(t, "freed", second(m.Call(1)), ErrNotFound)
	wantStatus(t, "freed, with a context", second(m.CallContext(context.Background(), 1)), ErrNotFound)
	wantStatus(t, "freed, as an argument", second(interp.Call("same", m, m)), ErrNotFound)
	if got := fmt.Sprint(nothing, new(Object)); got != "no object no object" {
		t.Error(got)
	}
}

func second[T any](_ T, err error) error { return err }

// last is the error with which an iteration ends.
func last[T any](items func(func(T, error) bool)) (err error) {
	items(func(_ T, e error) bool {
		err = e
		return true
	})
	return err
}

func TestObjectInResult(t *testing.T) {
	interp := create(t, model)
	type holder struct {
		Name  string
		Model *Object
		Other *Object
	}
	h, err := EvalAs[holder](interp, "{'Name': 'x', 'Model': Model(5), 'Other': None}")
	if err != nil || h.Name != "x" || h.Other != nil {
		t.Fatalf("%v, %v", h, err)
	}
	if n, err := CallObjectAs[int](h.Model, 2); n != 10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	models, err := EvalAs[[]*Object](interp, "[Model(1), Model(2)]")
	if err != nil || len(models) != 2 {
		t.Fatal(err)
	}
	_, err = EvalAs[[]*Object](interp, "[Model(1), 5]")
	wantMessage(t, "what has a value", err, "result[1]: a Python int does not go into a Go *subpy.Object")
	mixed, err := interp.Eval("[1, Model(3)]", WithResults(ResultObjects))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := mixed.([]any)[1].(*Object); !ok {
		t.Errorf("%#v", mixed)
	}
	_, err = interp.Eval("[1, Model(3)]")
	wantStatus(t, "without being asked", err, ErrNotShareable)
	interp.Close()
	wantStatus(t, "of a closed interpreter", second(models[0].Call(1)), ErrNotFound)
}

func TestObjectIter(t *testing.T) {
	interp := create(t, model)
	var items []int
	for item, err := range IterAs[int](must(EvalAs[*Object](interp, "range(3)"))) {
		check(err)
		items = append(items, item)
	}
	if !slices.Equal(items, []int{0, 1, 2}) {
		t.Error(items)
	}
	items = nil
	var failed *ExecutionFailedError
	for item, err := range IterAs[int](must(EvalAs[*Object](interp, "count()"))) {
		if err != nil {
			if !errors.As(err, &failed) || failed.Message != "enough" {
				t.Error(err)
			}
			break
		}
		items = append(items, item)
	}
	if failed == nil || len(items) != 3 {
		t.Error("a generator that fails:", items, failed)
	}
	check(interp.Exec("finished = False\ngenerator = count()"))
	generator := must(EvalAs[*Object](interp, "generator"))
	for range generator.Iter() {
		break
	}
	if next := must(interp.Eval("next(generator)")); next != int64(1) {
		t.Error("after a break:", next)
	}
	wantStatus(t, "nil", last((*Object)(nil).Iter()), ErrNotFound)
}

// Objects that are dropped, freed, or part of a result that nobody reads, leave nothing behind in Python.
func TestObjectsLeave(t *testing.T) {
	interp := create(t, model)
	for range 300 {
		_ = must(EvalAs[*Object](interp, "Model()"))
		must(EvalAs[*Object](interp, "Model()")).Free()
		_ = must(EvalAs[[]*Object](interp, "[Model(), Model()]"))
		if _, err := EvalAs[[]*Object](interp, "[Model(), Model(), 1]"); err == nil {
			t.Fatal("an int is an object")
		}
		if _, err := EvalAsContext[int](ContextWithResults(context.Background(), ResultObjects), interp, "Model()"); err == nil {
			t.Fatal("an object is an int")
		}
		_ = must(must(EvalAs[*Object](interp, "Model()")).CallMethod("me"))
	}
	waitUntil(t, "no object is left", func() bool {
		runtime.GC()
		return must(EvalAs[int](interp, "Model.live")) == 0
	})
}

// Objects are freed, and their interpreter is closed, while they are used.
func TestObjectRaces(t *testing.T) {
	for range 20 {
		interp := create(t, model, WithBusy(BusyWait))
		var all sync.WaitGroup
		for range 4 {
			object, err := EvalAs[*Object](interp, "Model(1)")
			check(err)
			for range 2 {
				all.Go(func() {
					for range 20 {
						if n, err := CallObjectAs[int](object, 2); err == nil && n != 2 ||
							err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBusy) {
							t.Errorf("%d, %v", n, err)
						}
					}
				})
			}
			all.Go(object.Free)
		}
		all.Go(func() { interp.CloseWith(CloseOptions{Drain: true, Timeout: time.Minute}) })
		all.Wait()
	}
}
