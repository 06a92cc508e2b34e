package subpy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func bigOf(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 0)
	if !ok {
		panic(text)
	}
	return n
}

type named struct {
	Name  string `subpy:"name"`
	Empty string `subpy:"empty,omitempty"`
	Plain int
	Left  chan int `subpy:"-"`
	inner int
}

type base struct {
	ID   int `subpy:"id"`
	Note string
}

type Shared struct{ Tag string }

type outer struct {
	base
	*Shared
	Named named `subpy:"named"`
	Note  int
}

type (
	count   int
	label   string
	octets  []byte
	weekday uint8
)

// What Go values become in Python, as repr() shows it.
func TestToPython(t *testing.T) {
	one := 1
	pointer := &one
	var none *int
	var nothing any
	interp := create(t, "")
	for _, c := range []struct {
		from any
		want string
	}{
		{nil, "None"},
		{none, "None"},
		{&nothing, "None"},
		{(*big.Int)(nil), "None"},
		{true, "True"},
		{int8(-128), "-128"},
		{int16(-1), "-1"},
		{int32(math.MinInt32), "-2147483648"},
		{int64(math.MinInt64), "-9223372036854775808"},
		{uint8(255), "255"},
		{uint16(7), "7"},
		{uint32(math.MaxUint32), "4294967295"},
		{uint64(math.MaxInt64), "9223372036854775807"},
		{uint64(math.MaxInt64) + 1, "9223372036854775808"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{uint(math.MaxUint), "18446744073709551615"},
		{uintptr(3), "3"},
		{count(5), "5"},
		{time.Second, "1000000000"},
		{bigOf("0"), "0"},
		{bigOf("-0x10000000000000000"), "-18446744073709551616"},
		{bigOf("0x7fffffffffffffff"), "9223372036854775807"},
		{[]big.Int{*bigOf("12"), *bigOf("0x123456789abcdef0123456789")}, "[12, 90144042682896311822508713865]"},
		{1.5, "1.5"},
		{float32(0.25), "0.25"},
		{math.Copysign(0, -1), "-0.0"},
		{math.Inf(1), "inf"},
		{"", "''"},
		{"h\u00e9\x00\U0001f600", "'h\u00e9\\x00\U0001f600'"},
		{label("x"), "'x'"},
		{[]byte(nil), "b''"},
		{[]byte{0, 255}, `b'\x00\xff'`},
		{octets{1}, `b'\x01'`},
		{[2]byte{1, 2}, `b'\x01\x02'`},
		{&[2]weekday{1, 2}, `b'\x01\x02'`},
		{[]any(nil), "[]"},
		{[]int{1, 2}, "[1, 2]"},
		{[]any{1, "a", []any{nil}}, "[1, 'a', [None]]"},
		{[][]string{{"a"}, nil}, "[['a'], []]"},
		{[]*int{pointer, nil}, "[1, None]"},
		{&pointer, "1"},
		{Tuple{}, "()"},
		{Tuple{1, Tuple{2}}, "(1, (2,))"},
		{[]Tuple{{1}}, "[(1,)]"},
		{[2]string{"a", "b"}, "('a', 'b')"},
		{map[string]any{"a": 1}, "{'a': 1}"},
		{map[string]any(nil), "{}"},
		{map[string]int(nil), "{}"},
		{map[label]float64{"a": 1}, "{'a': 1.0}"},
		{map[int]string{-1: "x"}, "{-1: 'x'}"},
		{map[[2]int]bool{{1, 2}: true}, "{(1, 2): True}"},
		{map[any]any{nil: 1}, "{None: 1}"},
		{Dict{{"z", 1}, {"a", 2}, {Tuple{1}, 3}, {[]byte("b"), 4}}, "{'z': 1, 'a': 2, (1,): 3, b'b': 4}"},
		{[]Dict{{{1, 2}}}, "[{1: 2}]"},
		{struct{}{}, "{}"},
		{named{Name: "n", Plain: 2}, "{'name': 'n', 'Plain': 2}"},
		{&named{Empty: "e"}, "{'name': '', 'empty': 'e', 'Plain': 0}"},
		{outer{base: base{ID: 1, Note: "hidden"}, Note: 3}, "{'id': 1, 'named': {'name': '', 'Plain': 0}, 'Note': 3}"},
		{outer{Shared: &Shared{"t"}}, "{'id': 0, 'Tag': 't', 'named': {'name': '', 'Plain': 0}, 'Note': 0}"},
		{[]named{{inner: 1}}, "[{'name': '', 'Plain': 0}]"},
	} {
		for _, from := range []any{c.from, &c.from} { // with and without a pointer and an interface around it
			got, err := CallAs[string](interp, "builtins:repr", from)
			if err != nil || got != c.want {
				t.Errorf("%T %v: got %s, %v, want %s", c.from, c.from, got, err, c.want)
			}
		}
	}
}

func TestNotToPython(t *testing.T) {
	interp := create(t, "")
	cycle := []any{0}
	cycle[0] = cycle
	ring := map[string]any{}
	ring["again"] = ring
	var self any
	self = &self
	type loop *loop
	var pointer loop
	pointer = &pointer
	type node struct{ Next *node }
	around := &node{}
	around.Next = around
	for _, c := range []struct {
		from any
		want string
	}{
		{make(chan int), "args[0]: chan int cannot be passed to Python"},
		{[]any{1, map[string]any{"x": func() {}}}, "args[0][1]['x']: func() cannot be passed"},
		{struct{ F []any }{[]any{make(chan int)}}, "args[0]['F'][0]: chan int cannot"},
		{map[any]any{1.5: make(chan int)}, "args[0][1.5]: chan int cannot"},
		{Dict{{make(chan int), 1}}, "args[0] (a key): chan int cannot"},
		{map[float64]int{math.NaN(): 1}, "args[0] (a key): NaN is not equal to itself"},
		{time.Unix(0, 1), "args[0]: a datetime has microseconds"},
		{*bigOf("5"), "pass a *big.Int"},
		{struct {
			A int `subpy:"x"`
			B int `subpy:"x"`
		}{}, `has two fields named "x"`},
		{struct {
			A int `subpy:"x,omitzero"`
		}{}, `unknown option "omitzero" in its subpy tag`},
		{"a\xff", "args[0]: invalid UTF-8 at byte offset 1"},
		{map[string]int{"\xff": 1}, "invalid UTF-8 at byte offset 0"},
		{[]string{"", "\xc3"}, "args[0][1]: invalid UTF-8"},
		{cycle, "contains itself"},
		{ring, "['again']: nested more than 1000 levels deep, or contains itself"},
		{self, "contains itself"},
		{pointer, "contains itself"},
		{around, "contains itself"},
		{[1 << 50]struct{}{}, "more than memory can hold"},
	} {
		_, err := interp.Call("builtins:print", c.from)
		wantStatus(t, fmt.Sprintf("%T", c.from), err, ErrInvalidArgument)
		wantMessage(t, fmt.Sprintf("%T", c.from), err, c.want)
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%T: the message has %d bytes", c.from, len(err.Error()))
		}
	}
	var conversion *ConversionError
	_, err := interp.Call("builtins:print", 1, []any{make(chan int)})
	if !errors.As(err, &conversion) || conversion.Path != "args[1][0]" || conversion.Problem != "chan int cannot be passed to Python" {
		t.Errorf("got %#v", conversion)
	}
	if _, err := interp.Call("builtins:print", map[string]int{"a\xff": 1}, []any{}); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	// Keys that Python cannot hash are Python's error.
	_, err = interp.Call("builtins:print", Dict{{[]any{}, 1}})
	wantStatus(t, "a list as a key", err, ErrExecutionFailed)
}

// What Python values become in Go when nobody says what they should be.
func TestFromPython(t *testing.T) {
	interp := create(t, "")
	for source, want := range map[string]any{
		"None":                             nil,
		"True":                             true,
		"False":                            false,
		"0":                                int64(0),
		"-2**63":                           int64(math.MinInt64),
		"2**63":                            bigOf("0x8000000000000000"),
		"-2**100 - 5":                      bigOf("-0x10000000000000000000000005"),
		"1.5":                              1.5,
		"float('-inf')":                    math.Inf(-1),
		"''":                               "",
		"'h\u00e9\\0\U0001f600'":           "h\u00e9\x00\U0001f600",
		"b''":                              []byte{},
		"b'\\0\\xff'":                      []byte{0, 255},
		"bytearray(b'a')":                  []byte("a"),
		"[]":                               []any{},
		"()":                               Tuple{},
		"[1, [None, ()]]":                  []any{int64(1), []any{nil, Tuple{}}},
		"(1, 'a')":                         Tuple{int64(1), "a"},
		"{}":                               map[string]any{},
		"{'a': {'b': []}}":                 map[string]any{"a": map[string]any{"b": []any{}}},
		"{1: 'a', None: 2, 1.5: True}":     map[any]any{int64(1): "a", nil: int64(2), 1.5: true},
		"{False: 0, 'a': 1}":               map[any]any{false: int64(0), "a": int64(1)},
		"{'z': 1, (1, 2): 2}":              Dict{{"z", int64(1)}, {Tuple{int64(1), int64(2)}, int64(2)}},
		"{b'x': 1}":                        Dict{{[]byte("x"), int64(1)}},
		"{2**64: 1}":                       Dict{{bigOf("0x10000000000000000"), int64(1)}},
		"[{'a': 1}, {'a': 2.0}, {1: 'x'}]": []any{map[string]any{"a": int64(1)}, map[string]any{"a": 2.0}, map[any]any{int64(1): "x"}},
	} {
		got, err := interp.Eval(source)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, %v, want %#v", source, got, err, want)
		}
	}
	nan, err := interp.Eval("float('nan')")
	if n, ok := nan.(float64); !ok || !math.IsNaN(n) || err != nil {
		t.Errorf("nan: %v, %v", nan, err)
	}
	if dict, err := interp.Eval("{float('nan'): 1}"); err != nil || len(dict.(Dict)) != 1 {
		t.Errorf("a nan as a key: %#v, %v", dict, err)
	}
	if zero, err := EvalAs[float64](interp, "-0.0"); err != nil || !math.Signbit(zero) {
		t.Errorf("-0.0: %v, %v", zero, err)
	}
	for source, want := range map[string]string{
		"{1, 2}":                              "result: set cannot be shared",
		"{'a': [1, 2, object()]}":             "result['a'][2]: object cannot be shared",
		"'\\ud800'":                           "lone surrogate at index 0",
		"__import__('collections').Counter()": "return dict(...)",
		"[l := [], l.append(l)]":              "a cycle cannot be shared",
	} {
		_, err := interp.Eval(source)
		wantStatus(t, source, err, ErrNotShareable)
		wantMessage(t, source, err, want)
	}
}

// decoded is EvalAs for any type, as a value and its error.
func decoded[T any](interp *Interpreter, source string) any {
	result, err := EvalAs[T](interp, source)
	if err != nil {
		return err
	}
	return result
}

func TestAs(t *testing.T) {
	interp := create(t, "")
	type rows struct {
		Rows []named
		Size *int           `subpy:"size"`
		Rest map[string]any `subpy:"rest"`
		Any  any
	}
	two := 2
	for _, c := range []struct {
		got, want any
	}{
		{decoded[bool](interp, "True"), true},
		{decoded[int](interp, "-5"), -5},
		{decoded[int64](interp, "-2**63"), int64(math.MinInt64)},
		{decoded[int8](interp, "-128"), int8(-128)},
		{decoded[uint8](interp, "255"), uint8(255)},
		{decoded[uint64](interp, "2**64 - 1"), uint64(math.MaxUint64)},
		{decoded[uint64](interp, "2**63 - 1"), uint64(math.MaxInt64)},
		{decoded[count](interp, "5"), count(5)},
		{decoded[float64](interp, "1.5"), 1.5},
		{decoded[float64](interp, "3"), 3.0},
		{decoded[float64](interp, "2**53"), 9007199254740992.0},
		{decoded[float32](interp, "1.5"), float32(1.5)},
		{decoded[float32](interp, "float('inf')"), float32(math.Inf(1))},
		{decoded[string](interp, "'a'"), "a"},
		{decoded[label](interp, "'a'"), label("a")},
		{decoded[[]byte](interp, "b'ab'"), []byte("ab")},
		{decoded[octets](interp, "b'ab'"), octets("ab")},
		{decoded[[2]byte](interp, "b'ab'"), [2]byte{'a', 'b'}},
		{decoded[[]int](interp, "[1, 2]"), []int{1, 2}},
		{decoded[[]int](interp, "(1, 2)"), []int{1, 2}},
		{decoded[[]int](interp, "[]"), []int{}},
		{decoded[[]int](interp, "None"), []int(nil)},
		{decoded[[2]int](interp, "(1, 2)"), [2]int{1, 2}},
		{decoded[[]any](interp, "(1, [2])"), []any{int64(1), []any{int64(2)}}},
		{decoded[Tuple](interp, "(1, 'a')"), Tuple{int64(1), "a"}},
		{decoded[[][]string](interp, "[['a'], []]"), [][]string{{"a"}, {}}},
		{decoded[map[string]int](interp, "{'a': 1}"), map[string]int{"a": 1}},
		{decoded[map[string]int](interp, "None"), map[string]int(nil)},
		{decoded[map[int8][]string](interp, "{1: ['x']}"), map[int8][]string{1: {"x"}}},
		{decoded[map[[2]int]string](interp, "{(1, 2): 'x'}"), map[[2]int]string{{1, 2}: "x"}},
		{decoded[map[any]any](interp, "{1: 2, 'a': 3}"), map[any]any{int64(1): int64(2), "a": int64(3)}},
		{decoded[Dict](interp, "{'z': 1, 'a': 2}"), Dict{{"z", int64(1)}, {"a", int64(2)}}},
		{decoded[*int](interp, "2"), &two},
		{decoded[*int](interp, "None"), (*int)(nil)},
		{decoded[*big.Int](interp, "2**64"), bigOf("0x10000000000000000")},
		{decoded[*big.Int](interp, "-7"), bigOf("-7")},
		{decoded[*big.Int](interp, "None"), (*big.Int)(nil)},
		{decoded[big.Int](interp, "7"), *bigOf("7")},
		{decoded[any](interp, "[1]"), []any{int64(1)}},
		{decoded[struct{}](interp, "{'a': 1}"), struct{}{}},
		{decoded[named](interp, "{'name': 'n', 'Plain': 3, 'unknown': [], 'inner': 4}"), named{Name: "n", Plain: 3}},
		{decoded[outer](interp, "{'id': 1, 'Note': 2, 'named': {'name': 'n'}, 'Tag': 't'}"),
			outer{base: base{ID: 1}, Shared: &Shared{"t"}, Named: named{Name: "n"}, Note: 2}},
		{decoded[rows](interp, "{'Rows': [{'name': 'a'}], 'size': 2, 'rest': {'x': None}, 'Any': (1,)}"),
			rows{Rows: []named{{Name: "a"}}, Size: &two, Rest: map[string]any{"x": nil}, Any: Tuple{int64(1)}}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %#v (%T), want %#v", c.got, c.got, c.want)
		}
	}
}

func TestAsRefused(t *testing.T) {
	interp := create(t, "")
	type exported struct{ A []int8 }
	type Embedded struct{ A int }
	type hidden struct{ B int }
	for _, c := range []struct {
		got  any
		want string
	}{
		{decoded[bool](interp, "1"), "result: a Python int does not go into a Go bool"},
		{decoded[int](interp, "True"), "a Python bool does not go into a Go int"},
		{decoded[int](interp, "1.0"), "a Python float does not go into a Go int"},
		{decoded[int](interp, "None"), "a Python None does not go into a Go int"},
		{decoded[int](interp, "2**63"), "9223372036854775808 does not fit a Go int"},
		{decoded[int](interp, "10**100"), "10000000000000000000... (101 digits) does not fit a Go int"},
		{decoded[int8](interp, "128"), "128 does not fit a Go int8"},
		{decoded[uint](interp, "-1"), "-1 does not fit a Go uint"},
		{decoded[uint16](interp, "65536"), "65536 does not fit a Go uint16"},
		{decoded[uint64](interp, "2**64"), "does not fit a Go uint64"},
		{decoded[float64](interp, "2**53 + 1"), "9007199254740993 does not fit a Go float64"},
		{decoded[float64](interp, "2**63 - 1"), "9223372036854775807 does not fit a Go float64"},
		{decoded[float32](interp, "2**24 + 1"), "16777217 does not fit a Go float32"},
		{decoded[float32](interp, "1e300"), "1e+300 does not fit a Go float32"},
		{decoded[float64](interp, "2**64"), "does not fit a Go float64"},
		{decoded[string](interp, "b'a'"), "a Python bytes does not go into a Go string"},
		{decoded[[]byte](interp, "'a'"), "a Python str does not go into a Go []uint8"},
		{decoded[[]byte](interp, "[1]"), "a Python list does not go into a Go []uint8"},
		{decoded[[3]byte](interp, "b'ab'"), "a Python bytes of length 2 does not go into a Go [3]uint8"},
		{decoded[[1]byte](interp, "[1]"), "a Python list does not go into a Go [1]uint8"},
		{decoded[[3]int](interp, "[1, 2]"), "a Python list of length 2 does not go into a Go [3]int"},
		{decoded[[]int](interp, "{}"), "a Python dict does not go into a Go []int"},
		{decoded[[]int](interp, "[1, 'a']"), "result[1]: a Python str does not go into a Go int"},
		{decoded[Tuple](interp, "[1]"), "a Python list does not go into a Go subpy.Tuple"},
		{decoded[Dict](interp, "[1]"), "a Python list does not go into a Go subpy.Dict"},
		{decoded[map[string]int](interp, "{'a': 'b'}"), "result['a']: a Python str does not go into a Go int"},
		{decoded[map[string]int](interp, "{1: 2}"), "result (a key): a Python int does not go into a Go string"},
		{decoded[map[any]int](interp, "{(1,): 2}"), "result (a key): a Python tuple cannot be a key of a Go map, use subpy.Dict"},
		{decoded[map[string]int](interp, "[]"), "a Python list does not go into a Go map[string]int"},
		{decoded[error](interp, "1"), "a Python int does not go into a Go error"},
		{decoded[chan int](interp, "1"), "a Python int does not go into a Go chan int"},
		{decoded[time.Time](interp, "{}"), "time.Time has no exported fields"},
		{decoded[exported](interp, "{'A': [1, 300]}"), "result['A'][1]: 300 does not fit a Go int8"},
		{decoded[exported](interp, "{1: 2}"), "result (a key): a Python int is no name of a field of a Go subpy.exported"},
		{decoded[exported](interp, "[]"), "a Python list does not go into a Go subpy.exported"},
		{decoded[struct{ *Embedded }](interp, "{'A': 'x'}"), "result['A']: a Python str does not go into a Go int"},
		{decoded[struct{ *hidden }](interp, "{'B': 1}"), "result['B']: subpy.hidden is embedded by a pointer and not exported"},
		{decoded[map[float32]string](interp, "{0.1: 'a', 0.10000000149011612: 'b'}"), "another key is the same Go float32"},
		{decoded[*big.Int](interp, "1.5"), "a Python float does not go into a Go big.Int"},
		{decoded[map[string][]exported](interp, "{'k\\n': [{'A': [None]}]}"), `result['k\n'][0]['A'][0]: a Python None`},
	} {
		err, _ := c.got.(error)
		var conversion *ConversionError
		if !errors.As(err, &conversion) {
			t.Errorf("got %v, want %q", c.got, c.want)
			continue
		}
		wantMessage(t, "decoding", err, c.want)
		if errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%v is no invalid argument", err)
		}
	}
	if n, err := EvalAs[int](interp, "'x'"); n != 0 || err == nil {
		t.Errorf("a failed conversion returns %d, %v", n, err)
	}
}

func nest(depth int) any {
	var v any
	for range depth {
		v = []any{v}
	}
	return v
}

func TestDepth(t *testing.T) {
	interp := create(t, "def depth(v):\n  n = 0\n  while v: v = v[0]; n += 1\n  return n\ndef nest(n):\n  v = None\n  for _ in range(n): v = [v]\n  return v")
	if n, err := CallAs[int](interp, "depth", nest(1000)); n != 1000 || err != nil {
		t.Errorf("%d levels, %v", n, err)
	}
	_, err := interp.Call("depth", nest(1001))
	wantMessage(t, "1,001 levels", err, "nested more than 1000 levels deep")
	_, err = interp.Call("depth", nest(100000))
	wantStatus(t, "100,000 levels", err, ErrInvalidArgument)
	if v, err := interp.Call("nest", 1000); err != nil || !reflect.DeepEqual(v, nest(1000)) {
		t.Errorf("1,000 levels from Python: %v", err)
	}
	_, err = interp.Call("nest", 1001)
	wantStatus(t, "1,001 levels from Python", err, ErrNotShareable)
	type list struct {
		Next *list
		V    int
	}
	var head *list
	for i := range 999 {
		head = &list{head, i}
	}
	back, err := CallAs[*list](interp, "copy:copy", head)
	if err != nil || !reflect.DeepEqual(back, head) {
		t.Errorf("a linked list: %v", err)
	}
}

// Sizes around those at which frames get more memory, and results are freed at once.
func TestSizes(t *testing.T) {
	interp := create(t, "def same(v): return v")
	for _, size := range []int{0, 1, 7, 8, 3 << 10, 4 << 10, 5 << 10, 63 << 10, 64 << 10, 65 << 10, 1 << 20, 3 << 20} {
		text := strings.Repeat("x", size)
		if got, err := CallAs[string](interp, "same", text); got != text || err != nil {
			t.Errorf("a str of %d: %v", size, err)
		}
		if got, err := CallAs[[]byte](interp, "same", []byte(text)); string(got) != text || err != nil {
			t.Errorf("bytes of %d: %v", size, err)
		}
		numbers := make([]int64, size/24)
		for i := range numbers {
			numbers[i] = int64(i) << 20
		}
		if got, err := CallAs[[]int64](interp, "same", numbers); !slices.Equal(got, numbers) || err != nil {
			t.Errorf("a list of %d: %v", len(numbers), err)
		}
	}
	names := map[string]int{}
	for i := range 5000 {
		names[fmt.Sprint("name ", i)] = i
	}
	if got, err := CallAs[map[string]int](interp, "same", names); !maps.Equal(got, names) || err != nil {
		t.Errorf("a dict: %v", err)
	}
	huge := new(big.Int).Lsh(big.NewInt(-5), 1_000_000)
	if got, err := CallAs[*big.Int](interp, "same", huge); err != nil || got.Cmp(huge) != 0 {
		t.Errorf("a large int: %v", err)
	}
	if n, err := CallAs[int](interp, "same", 5); n != 5 || err != nil {
		t.Errorf("after all that: %d, %v", n, err)
	}
}

// A kind that this package does not know, from a newer library, is an error that names its number.
func TestUnknownKind(t *testing.T) {
	unknown := value{kind: 77}
	list := []value{intValue(1), unknown}
	inList := value{kind: kindList, len: 2, data: uint64(uintptr(unsafe.Pointer(&list[0])))}
	dict := []pair{{value{kind: kindNone}, unknown}}
	inDict := value{kind: kindDict, len: 1, data: uint64(uintptr(unsafe.Pointer(&dict[0])))}
	keyed := []pair{{unknown, intValue(1)}}
	inKey := value{kind: kindDict, len: 1, data: uint64(uintptr(unsafe.Pointer(&keyed[0])))}
	const problem = "a value of kind 77, which this package does not know"
	for _, c := range []struct {
		from *value
		path string
	}{{&unknown, "result"}, {&inList, "result[1]"}, {&inDict, "result[<nil>]"}, {&inKey, "result (a key)"}, {&value{kind: -1}, "result"}} {
		for name, err := range map[string]*ConversionError{
			"any": decodeTo(new(reading), c.from, new(any)), "Ordered": decodeTo(new(reading), c.from, new(Ordered)), "[]any": decodeTo(new(reading), c.from, new([]any)),
			"Dict": decodeTo(new(reading), c.from, new(Dict)), "map": decodeTo(new(reading), c.from, new(map[any]any)), "struct": decodeTo(new(reading), c.from, new(struct{ A int })),
			"int": decodeTo(new(reading), c.from, new(int)), "*string": decodeTo(new(reading), c.from, new(*string)), "[2]any": decodeTo(new(reading), c.from, new([2]any)),
		} {
			if err == nil {
				t.Errorf("%s into %s succeeds", c.path, name)
				continue
			}
			if err = err.of("result", false); (name == "any" || name == "Ordered") && c.from.kind > 0 && (err.Path != c.path || err.Problem != problem) {
				t.Errorf("%s: got %v, want %s: %s", name, err, c.path, problem)
			}
		}
		var result any = "before"
		if decodeTo(new(reading), c.from, &result); result != "before" {
			t.Errorf("it became %v", result)
		}
	}
	if err := decodeTo(new(reading), &unknown, new(Ignored)); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(list)
	runtime.KeepAlive(dict)
	runtime.KeepAlive(keyed)
}

func TestOrdered(t *testing.T) {
	interp := create(t, "def f(*args, **kwargs): return args[0] if args else kwargs")
	want := Dict{{"z", []any{Dict{{"b", int64(1)}, {"a", Tuple{Dict{}}}}}}, {"a", nil}}
	got, err := EvalAs[Ordered](interp, "{'z': [{'b': 1, 'a': ({},)}], 'a': None}")
	if err != nil || !reflect.DeepEqual(got.Value, want) {
		t.Errorf("got %#v, %v", got, err)
	}
	if again, err := CallAs[Ordered](interp, "f", got); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("got %#v, %v", again, err)
	}
	type inside struct {
		List []Ordered
		None *Ordered
	}
	if in, err := EvalAs[inside](interp, "{'List': [{'z': 1, 'a': 2}, 5], 'None': None}"); err != nil ||
		!reflect.DeepEqual(in, inside{List: []Ordered{{Dict{{"z", int64(1)}, {"a", int64(2)}}}, {int64(5)}}}) {
		t.Errorf("got %#v, %v", in, err)
	}
	kwargs := OrderedKwargs{{"z", 1}, {"m", 2}, {"a", 3}}
	text, err := CallAs[string](interp, "builtins:str", Ordered{"x"})
	if text != "x" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if got, err := CallAs[Dict](interp, "f", kwargs); err != nil || fmt.Sprint([]Pair(got)) != "[{z 1} {m 2} {a 3}]" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := CallAs[Dict](interp, "f", OrderedKwargs(nil)); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = interp.Call("f", OrderedKwargs{{1, 2}})
	wantStatus(t, "a keyword that is no string", err, ErrInvalidArgument)
	_, err = interp.Call("f", OrderedKwargs{{"a", make(chan int)}})
	wantMessage(t, "a channel", err, "kwargs['a']: chan int cannot be passed to Python")
	_, err = interp.Call("f", kwargs, 1)
	wantMessage(t, "OrderedKwargs that are not last", err, "args[0]: Kwargs must be the last argument")
}

// Text that a program prints: what Python would show.
func TestStrings(t *testing.T) {
	for _, c := range []struct {
		value fmt.Stringer
		want  string
	}{
		{Tuple{}, "()"},
		{Tuple{1}, "(1,)"},
		{Tuple{1, "a", Tuple{nil, true}, []any{1.5, []byte("b")}}, `(1, "a", (None, True), [1.5, b"b"])`},
		{Dict{}, "{}"},
		{Dict{{"z", 1}, {Tuple{1, 2}, Dict{{nil, false}}}}, `{"z": 1, (1, 2): {None: False}}`},
		{Tuple{map[string]any{"b": 1, "a": int64(2)}, map[any]any{1: "x"}, bigOf("0x10000000000000000")}, `({"a": 2, "b": 1}, {1: "x"}, 18446744073709551616)`},
		{Tuple{struct{ A int }{1}}, "({1},)"},
		{BusyRefuse, "refuse"}, {BusyWait, "wait"}, {BusyShare, "share"}, {Busy(9), "Busy(9)"},
		{Frame{File: "a.py", Line: 3, Function: "f"}, `File "a.py", line 3, in f`},
	} {
		if got := fmt.Sprint(c.value); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	cycle := Dict{{"a", nil}}
	cycle[0].Value = cycle
	if text := cycle.String(); !strings.Contains(text, "...") {
		t.Errorf("got %.100s", text)
	}
	interp := create(t, "def f(): pass")
	id, _ := interp.ID()
	fn, err := interp.Function("f")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(interp, fn), fmt.Sprintf("interpreter %d f in interpreter %d", id, id); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	interp.Close()
	if got := fmt.Sprint(interp, (*Function)(nil)); got != "closed interpreter no function" {
		t.Errorf("got %q", got)
	}
}

func TestDictGet(t *testing.T) {
	dict := Dict{{1, "one"}, {"a", 2}, {"a", 3}}
	if v, ok := dict.Get("a"); v != 2 || !ok {
		t.Errorf("%v, %t", v, ok)
	}
	if v, ok := dict.Get("b"); v != nil || ok {
		t.Errorf("%v, %t", v, ok)
	}
}

// A result must not change when the frame that it was read from is used again.
func TestResultsAreCopies(t *testing.T) {
	interp := create(t, "def f(c, n): return {c: [c * n, c.encode() * n]}")
	first, err := interp.Call("f", "a", 100)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := interp.Call("f", "b", 100); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"a": []any{strings.Repeat("a", 100), []byte(strings.Repeat("a", 100))}}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("got %v", first)
	}
}
