package subpy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const views = `
kept = []
def describe(view):
    what = view.format, view.itemsize, view.shape, view.readonly
    return what if len(view.format) > 1 else (*what, view.tolist())
def keep(view):
    kept.append(view)
def slices(view):
    kept.append(view[1:])
def double(view):
    for i, x in enumerate(view):
        view[i] = 2 * x
`

func TestBufferIn(t *testing.T) {
	interp := create(t, views)
	for _, c := range []struct {
		buffer *Buffer
		want   string
	}{
		{NewBuffer([]byte("ab")), `("B", 1, (2,), True, [97, 98])`},
		{NewBuffer([]float64{1, 2.5}), `("d", 8, (2,), True, [1, 2.5])`},
		{NewBuffer([]int{-1}), `("q", 8, (1,), True, [-1])`},
		{NewBuffer([]uint16{1, 65535}), `("H", 2, (2,), True, [1, 65535])`},
		{NewBuffer([]bool{true, false}), `("?", 1, (2,), True, [True, False])`},
		{NewBuffer([]int32{1, 2, 3, 4, 5, 6}, WithShape(2, 3), WithWritable()), `("i", 4, (2, 3), False, [[1, 2, 3], [4, 5, 6]])`},
		{NewBuffer([]int32{1, 2, 3, 4}, WithShape(2), WithStrides(8)), `("i", 4, (2,), True, [1, 3])`},
		{NewBuffer([]byte{5, 0, 6, 0}, WithFormat("h")), `("h", 2, (2,), True, [5, 6])`},
		{NewBuffer([]int16{5, 6}, WithFormat("=h")), `("=h", 2, (2,), True)`},
		{NewBuffer([]int32{1, 2, 3}, WithStrides(-4), WithShape(3)), `("i", 4, (3,), True, [3, 2, 1])`},
		{NewBuffer([]byte{}), `("B", 1, (0,), True, [])`},
		{NewBuffer[float32](nil), `("f", 4, (0,), True, [])`},
	} {
		if got, err := interp.Call("describe", c.buffer); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%v: got %v, %v, want %s", c.buffer, got, err, c.want)
		}
	}
	numbers := []float64{1, 2, 3}
	if _, err := interp.Call("double", NewBuffer(numbers, WithWritable())); err != nil || !slices.Equal(numbers, []float64{2, 4, 6}) {
		t.Errorf("%v, %v", numbers, err)
	}
	_, err := interp.Call("double", NewBuffer(numbers))
	wantMessage(t, "what is read-only", err, "cannot modify read-only memory")
	for what, buffer := range map[string]*Buffer{
		"more than there is": NewBuffer([]byte("abc"), WithShape(4)),
		"a strange format":   NewBuffer([]byte("abc"), WithFormat("$")),
		"a format with NUL":  NewBuffer([]byte("abc"), WithFormat("B\x00")),
		"too many strides":   NewBuffer([]byte("abc"), WithShape(3), WithStrides(1, 1)),
		"outside strides":    NewBuffer([]byte("abc"), WithShape(3), WithStrides(2)),
	} {
		_, err := interp.Call("describe", buffer)
		wantStatus(t, what, err, ErrInvalidArgument)
	}
}

// Memory is released once for each time that it was passed, whatever became of that.
func TestBufferRelease(t *testing.T) {
	interp := create(t, views)
	var released atomic.Int32
	passed := int32(0)
	buffer := NewBuffer([]byte("abc"), WithRelease(func() { released.Add(1) }))
	is := func(what string, want int32) {
		t.Helper()
		check(interp.Exec("import gc; gc.collect()"))
		if got := released.Load(); got != want {
			t.Errorf("%s: released %d times, want %d", what, got, want)
		}
	}
	must(interp.Call("describe", buffer))
	passed++
	is("after a call", passed)
	must(interp.Call("builtins:len", []any{buffer, buffer}))
	passed += 2
	is("after one with two", passed)
	interp.Call("none", buffer)
	passed++
	is("a function that is not there", passed)
	interp.Call("builtins:int", buffer, make(chan int))
	passed++
	is("another argument is wrong", passed)
	interp.Call("builtins:int", buffer, "\xff")
	passed++
	is("another argument is refused by the library", passed)
	(*Interpreter)(nil).Call("describe", buffer)
	passed++
	is("no interpreter", passed)
	must(must(interp.CallInThread("describe", buffer)).Join())
	passed++
	is("on a thread", passed)
	check(interp.Define("give", func() *Buffer { return buffer }))
	if got := must(interp.Eval("bytes(give())")); string(got.([]byte)) != "abc" {
		t.Errorf("of a host function: %v", got)
	}
	passed++
	is("of a host function", passed)
	check(interp.PrepareMain(map[string]any{"b": buffer}))
	is("a name", passed)
	check(interp.Exec("del b"))
	passed++
	is("that is deleted", passed)
	must(interp.Call("keep", buffer))
	is("one that Python keeps", passed)
	interp.Close()
	if passed++; released.Load() != passed {
		t.Errorf("after closing: released %d times, want %d", released.Load(), passed)
	}
}

// Memory stays where it is as long as Python refers to it, also when Go does not.
func TestBufferStays(t *testing.T) {
	interp := create(t, views)
	for i := range 50 {
		must(interp.Call("keep", NewBuffer(slices.Repeat([]byte{byte(i)}, 10_000))))
		runtime.GC()
	}
	if got := must(interp.Eval("[i for i, v in enumerate(kept) if v != bytes([i]) * 10_000]")); len(got.([]any)) != 0 {
		t.Errorf("changed: %v", got)
	}
}

// Memory that an interpreter in a process writes to, where Go has it.
func TestBufferOfProcess(t *testing.T) {
	interp := create(t, "def fill(view):\n  view[1] = 2.5\n  return view\ndef look(view): return view.tolist()", WithProcess())
	buffer := must(NewSharedBuffer[float64](100_000))
	floats := must(View[float64](buffer))
	back := must(CallAsContext[*Buffer](ContextWithResults(context.Background(), ResultBuffers), interp, "fill", buffer))
	if floats[1] != 2.5 {
		t.Errorf("Go sees %v", floats[1])
	}
	floats[2] = 7
	if again := must(View[float64](back)); again[2] != 7 || &again[0] != &floats[0] {
		t.Errorf("the result is other memory: %v", again[2])
	}
	back.Close()
	if got := must(interp.Call("look", NewBuffer([]byte{1, 2}))); !reflect.DeepEqual(got, []any{int64(1), int64(2)}) {
		t.Errorf("a copy is %v", got)
	}
	if _, err := interp.Call("look", NewBuffer([]byte{1}, WithWritable())); !errors.Is(err, ErrNotShareable) {
		t.Errorf("writable memory of Go's: %v", err)
	}
	if _, err := NewSharedBuffer[float64](math.MaxInt); !errors.Is(err, ErrNoMemory) {
		t.Errorf("too much: %v", err)
	}
	buffer.Close()
	if _, err := interp.Call("look", buffer); err == nil {
		t.Error("a closed buffer was passed")
	}
}

func TestBufferLent(t *testing.T) {
	interp := create(t, views)
	var released atomic.Int32
	buffer := NewBuffer([]byte("abc"), WithLent(), WithRelease(func() { released.Add(1) }))
	must(interp.Call("describe", buffer))
	if released.Load() != 1 {
		t.Errorf("released %d times", released.Load())
	}
	if _, err := interp.Call("keep", buffer); err != nil || released.Load() != 2 {
		t.Errorf("a view that is kept: %v, released %d times", err, released.Load())
	}
	_, err := interp.Eval("kept[0][0]")
	wantMessage(t, "a view that was revoked", err, "released memoryview")
	_, err = interp.Call("slices", buffer)
	wantStatus(t, "a slice that is kept", err, ErrBusy)
	if got, err := interp.Eval("bytes(kept[1])"); err != nil || string(got.([]byte)) != "bc" || released.Load() != 2 {
		t.Errorf("it is %v, %v, released %d times", got, err, released.Load())
	}
	check(interp.Exec("kept.clear()"))
	if released.Load() != 3 {
		t.Errorf("released %d times", released.Load())
	}
}

// large is more than what the library copies because that is cheaper.
const large = 10_000

func TestBufferOut(t *testing.T) {
	interp := create(t, "import array\ndata = bytearray(b'abc' * 4000)\ndef head(v): return bytes(v[:2])")
	b, err := EvalAs[*Buffer](interp, "data")
	if err != nil {
		t.Fatal(err)
	}
	if b.Len() != 12000 || b.Format() != "B" || b.ItemSize() != 1 || !slices.Equal(b.Shape(), []int{12000}) || !b.Writable() {
		t.Error(b)
	}
	if text := string(b.Bytes()); text != strings.Repeat("abc", 4000) {
		t.Errorf("%.20q", text)
	}
	b.Bytes()[0] = 'x'
	if got := must(interp.Eval("bytes(data[:3])")); string(got.([]byte)) != "xbc" {
		t.Errorf("a copy: %q", got)
	}
	if _, err := interp.Eval("data.clear()"); err == nil {
		t.Error("it is not pinned")
	}
	if got := must(interp.Call("head", b)); string(got.([]byte)) != "xb" {
		t.Errorf("as an argument: %q", got)
	}
	other := create(t, "def head(v): return bytes(v[:2])")
	if got := must(other.Call("head", b)); string(got.([]byte)) != "xb" {
		t.Errorf("as an argument elsewhere: %q", got)
	}
	small, err := EvalAs[*Buffer](interp, "memoryview(b'abc')")
	if err != nil || string(small.Bytes()) != "abc" || small.Writable() {
		t.Errorf("%v, %v", small, err)
	}
	interp.Close()
	if string(b.Bytes()[:3]) != "xbc" || string(small.Bytes()) != "abc" {
		t.Errorf("after closing: %.20q", b.Bytes())
	}
	b.Close()
	b.Close()
	if b.Bytes() != nil {
		t.Error("it is open")
	}
	_, err = View[byte](b)
	wantStatus(t, "a view of one that is closed", err, ErrNotFound)
	_, err = other.Call("head", b)
	wantMessage(t, "passing one that is closed", err, "args[0]: the buffer is closed")
	var nothing *Buffer
	nothing.Close()
	if nothing.Bytes() != nil || nothing.Len() != 0 || nothing.Shape() != nil || nothing.Format() != "" || nothing.Writable() {
		t.Error("nil is something")
	}
}

func TestBufferViews(t *testing.T) {
	interp := create(t, "import array")
	buffers, err := EvalAs[[]*Buffer](interp, "[b'ab', array.array('d', [1, 2.5]), memoryview(bytearray(6)).cast('h', (3, 1))]")
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := View[float64](buffers[1])
	if err != nil || !slices.Equal(numbers, []float64{1, 2.5}) {
		t.Errorf("%v, %v", numbers, err)
	}
	shorts, err := View[int16](buffers[2])
	if err != nil || len(shorts) != 3 || !slices.Equal(buffers[2].Shape(), []int{3, 1}) {
		t.Errorf("%v, %v", shorts, err)
	}
	_, err = View[int64](buffers[1])
	wantMessage(t, "another type", err, `elements of format "d" do not go into a Go []int64`)
	buffers[0].Close()
	if !slices.Equal(numbers, []float64{1, 2.5}) {
		t.Error("one buffer closes another")
	}
	for _, b := range buffers {
		b.Close()
	}
	_, err = EvalAs[*Buffer](interp, "5")
	wantMessage(t, "an int", err, "a Python int does not go into a Go *subpy.Buffer")
}

// Lists of numbers come in one piece, or as they do without being asked to.
func TestArrays(t *testing.T) {
	interp := create(t, "")
	for _, c := range []struct {
		got, want any
	}{
		{decoded[Array[float64]](interp, "[1.0, 2.5]"), Array[float64]{1, 2.5}},
		{decoded[Array[int]](interp, "(1, -2)"), Array[int]{1, -2}},
		{decoded[Array[int32]](interp, "[1, -2]"), Array[int32]{1, -2}},
		{decoded[Array[uint64]](interp, "[1, 2**63]"), Array[uint64]{1, 1 << 63}},
		{decoded[Array[float64]](interp, "[1, 2]"), Array[float64]{1, 2}},
		{decoded[Array[float64]](interp, "[1, 2.5]"), Array[float64]{1, 2.5}},
		{decoded[[]Array[float64]](interp, "[[1.0], [], [2.0, 3.0]]"), []Array[float64]{{1}, {}, {2, 3}}},
		{decoded[map[string]Array[int]](interp, "{'a': [1, 2]}"), map[string]Array[int]{"a": {1, 2}}},
		{decoded[[2]Array[bool]](interp, "([True], None)"), [2]Array[bool]{{true}, nil}},
		{decoded[struct {
			A Array[float32]
			B []int
			C [1]float64
		}](interp, "{'A': [1.0], 'B': [2], 'C': [3.0]}"), struct {
			A Array[float32]
			B []int
			C [1]float64
		}{Array[float32]{1}, []int{2}, [1]float64{3}}},
		{decoded[struct {
			A Array[float32]
			B any
		}](interp, "{'A': [1.0], 'B': [2.0]}"), struct {
			A Array[float32]
			B any
		}{Array[float32]{1}, []any{2.0}}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %#v, want %#v", c.got, c.want)
		}
	}
	_, err := EvalAs[Array[int16]](interp, "[1, 70000]")
	wantMessage(t, "an int that is too large", err, "result[1]: 70000 does not fit a Go int16")
	_, err = EvalAs[Array[uint]](interp, "[1, -1]")
	wantMessage(t, "one that is negative", err, "result[1]: -1 does not fit a Go uint")
	_, err = EvalAs[Array[int]](interp, "[1.0]")
	wantMessage(t, "a float", err, "result[0]: a Python float does not go into a Go int")
	_, err = EvalAs[struct {
		A Array[int]
		B string
	}](interp, "{'A': [1], 'B': [1]}")
	wantMessage(t, "an array for a string", err, "result['B']: a Python buffer of format \"q\" and shape [1] does not go into a Go string")
	_, err = EvalAs[struct {
		A Array[int]
		B [2]int
	}](interp, "{'A': [1], 'B': [1]}")
	wantMessage(t, "an array of another length", err, "of length 1 does not go into a Go [2]int")
	got, err := EvalAsContext[any](ContextWithResults(context.Background(), ResultArrays), interp, "[1.0]")
	if b, ok := got.(*Buffer); err != nil || !ok || b.Format() != "d" {
		t.Errorf("%#v, %v", got, err)
	}
}

// Results are unpinned when their buffers are closed, dropped, or not wanted.
func TestBuffersLeave(t *testing.T) {
	interp := create(t, fmt.Sprintf("data = [bytearray(%d) for _ in range(4)]", large))
	for range 200 {
		must(EvalAs[*Buffer](interp, "data[0]")).Close()
		_ = must(EvalAs[*Buffer](interp, "data[1]"))
		_ = must(EvalAs[[]*Buffer](interp, "data"))
		if _, err := EvalAs[[]*Buffer](interp, "[data[2], 1]"); err == nil {
			t.Fatal("an int is a buffer")
		}
		if _, err := EvalAsContext[int](ContextWithResults(context.Background(), ResultBuffers), interp, "data[3]"); err == nil {
			t.Fatal("a buffer is an int")
		}
	}
	waitUntil(t, "nothing is pinned", func() bool {
		runtime.GC()
		return interp.Exec("for d in data: d.append(1); d.pop()") == nil
	})
}

// One buffer is used, passed and closed at the same time.
func TestBufferRaces(t *testing.T) {
	interp := create(t, "def f(v): return len(v)", WithBusy(BusyWait))
	for range 50 {
		b := must(EvalAs[*Buffer](interp, fmt.Sprintf("bytes(%d)", large)))
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if n, err := CallAs[int](interp, "f", b); err == nil && n != large || err != nil && !strings.Contains(err.Error(), "closed") {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		all.Go(b.Close)
		all.Wait()
	}
	var released atomic.Int32
	b := NewBuffer(make([]byte, 100), WithRelease(func() { released.Add(1) }))
	const calls = 100
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range calls {
				if _, err := interp.Call("f", b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if released.Load() != 4*calls {
		t.Errorf("released %d times", released.Load())
	}
}

// Python's functions of a host that panic end the program, since Python cannot.
func init() {
	children["a release that panics"] = func() {
		interp, err := Create()
		check(err)
		interp.Call("builtins:len", NewBuffer([]byte("a"), WithRelease(func() { panic(errors.New("for a test")) })))
		interp.Exec("import gc; gc.collect()")
		select {}
	}
}

func TestReleasePanics(t *testing.T) {
	output, err := child(t, "a release that panics").CombinedOutput()
	if err == nil || !strings.Contains(string(output), "a release function of a buffer panicked: for a test") {
		t.Errorf("%v: %s", err, output)
	}
}
