package subpy

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unsafe"
)

// Tuple is a Python tuple; []any is a list.
type Tuple []any

// Dict is a Python dict, in its order. Keys are looked up one by one.
type Dict []Pair

// Pair is an entry of a [Dict].
type Pair struct{ Key, Value any }

// Get returns the value of a key that can be compared with ==.
func (d Dict) Get(key any) (any, bool) {
	for _, pair := range d {
		if text, ok := pair.Key.(string); ok && text == key {
			return pair.Value, true
		}
		if number, ok := pair.Key.(int64); ok && (number == key || key == int(number)) {
			return pair.Value, true
		}
	}
	return nil, false
}

const (
	kindNone = iota
	kindBool
	kindInt
	kindBigInt
	kindFloat
	kindStr
	kindBytes
	kindTuple
	kindList
	kindDict
)

const (
	maxDepth = 1000
	tooDeep  = "nested more than 1,000 levels deep, or contains itself"
)

// A subpy_value. An address in `word` is no pointer to the garbage collector: the encoder keeps what is there.
type value struct {
	kind  int32
	flags uint32
	len   uintptr
	word  uint64
}

// An encoder keeps what the values of one call point to.
type encoder struct{ kept []any }

func (e *encoder) text(text string) uintptr {
	if len(text) == 0 {
		return 0
	}
	data := unsafe.StringData(text)
	e.kept = append(e.kept, data)
	return uintptr(unsafe.Pointer(data))
}

func (e *encoder) items(items []value) uintptr {
	if len(items) == 0 {
		return 0
	}
	e.kept = append(e.kept, items)
	return uintptr(unsafe.Pointer(unsafe.SliceData(items)))
}

// Encodes values one behind the other.
func (e *encoder) values(values []any, depth int) (uintptr, error) {
	if depth > maxDepth {
		return 0, &misfit{reason: tooDeep}
	}
	items := make([]value, len(values))
	for i, v := range values {
		if err := e.put(&items[i], v, depth); err != nil {
			return 0, within(i, err)
		}
	}
	return e.items(items), nil
}

func (e *encoder) dict(slot *value, dict Dict, depth int) error {
	if depth > maxDepth {
		return &misfit{reason: tooDeep}
	}
	items := make([]value, 2*len(dict))
	for i, pair := range dict {
		for j, v := range []any{pair.Key, pair.Value} {
			if err := e.put(&items[2*i+j], v, depth); err != nil {
				return within(pair.Key, err)
			}
		}
	}
	*slot = value{kind: kindDict, len: uintptr(len(dict)), word: uint64(e.items(items))}
	return nil
}

func (e *encoder) put(slot *value, v any, depth int) error {
	switch v := v.(type) {
	case nil:
		*slot = value{}
	case bool:
		*slot = value{kind: kindBool}
		if v {
			slot.word = 1
		}
	case int:
		*slot = wholeNumber(int64(v))
	case int8:
		*slot = wholeNumber(int64(v))
	case int16:
		*slot = wholeNumber(int64(v))
	case int32:
		*slot = wholeNumber(int64(v))
	case int64:
		*slot = wholeNumber(v)
	case uint8:
		*slot = wholeNumber(int64(v))
	case uint16:
		*slot = wholeNumber(int64(v))
	case uint32:
		*slot = wholeNumber(int64(v))
	case uint:
		return e.put(slot, new(big.Int).SetUint64(uint64(v)), depth)
	case uint64:
		return e.put(slot, new(big.Int).SetUint64(v), depth)
	case uintptr:
		return e.put(slot, new(big.Int).SetUint64(uint64(v)), depth)
	case *big.Int:
		if v == nil {
			*slot = value{}
			break
		}
		if v.IsInt64() {
			*slot = wholeNumber(v.Int64())
			break
		}
		hex := fmt.Sprintf("%#x", v)
		*slot = value{kind: kindBigInt, len: uintptr(len(hex)), word: uint64(e.text(hex))}
	case float32:
		*slot = value{kind: kindFloat, word: math.Float64bits(float64(v))}
	case float64:
		*slot = value{kind: kindFloat, word: math.Float64bits(v)}
	case string:
		*slot = value{kind: kindStr, len: uintptr(len(v)), word: uint64(e.text(v))}
	case []byte:
		*slot = value{kind: kindBytes, len: uintptr(len(v)), word: uint64(e.text(unsafe.String(unsafe.SliceData(v), len(v))))}
	case []any:
		items, err := e.values(v, depth+1)
		*slot = value{kind: kindList, len: uintptr(len(v)), word: uint64(items)}
		return err
	case Tuple:
		items, err := e.values(v, depth+1)
		*slot = value{kind: kindTuple, len: uintptr(len(v)), word: uint64(items)}
		return err
	case Dict:
		return e.dict(slot, v, depth+1)
	case map[string]any:
		return e.dict(slot, sorted(v), depth+1)
	default:
		return &misfit{reason: fmt.Sprintf("a %T has no Python value", v)}
	}
	return nil
}

func wholeNumber(n int64) value { return value{kind: kindInt, word: uint64(n)} }

// A misfit is a value without a Python value, and the way to it.
type misfit struct {
	steps  []string // the innermost first
	reason string
}

// The middle of a long way is left out.
func (m *misfit) Error() string {
	steps := slices.Clone(m.steps)
	slices.Reverse(steps)
	if len(steps) > 10 {
		steps = slices.Replace(steps, 5, len(steps)-5, "...")
	}
	return strings.Join(steps, "") + ": " + m.reason
}

// Adds the index or key of what contains the misfit to the way.
func within(key any, err error) error {
	m, ok := err.(*misfit)
	if !ok {
		return err
	}
	step := fmt.Sprintf("[%T]", key)
	switch key := key.(type) {
	case string:
		step = fmt.Sprintf("[%q]", key)
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr, float32, float64, *big.Int:
		step = fmt.Sprintf("[%v]", key)
	}
	m.steps = append(m.steps, step)
	return m
}

// A map has no order, so its keys are sorted: a call gives the same each time.
func sorted(names map[string]any) Dict {
	dict := make(Dict, 0, len(names))
	for name, v := range names {
		dict = append(dict, Pair{name, v})
	}
	slices.SortFunc(dict, func(a, b Pair) int { return bytes.Compare([]byte(a.Key.(string)), []byte(b.Key.(string))) })
	return dict
}

// Reads a value out of C memory.
func read(v *value) (any, error) {
	switch v.kind {
	case kindNone:
		return nil, nil
	case kindBool:
		return v.word&0xff != 0, nil
	case kindInt:
		return int64(v.word), nil
	case kindFloat:
		return math.Float64frombits(v.word), nil
	case kindStr:
		return textOf(uintptr(v.word), v.len), nil
	case kindBytes:
		return []byte(textOf(uintptr(v.word), v.len)), nil
	case kindBigInt:
		number, ok := new(big.Int).SetString(textOf(uintptr(v.word), v.len), 0)
		if !ok {
			return nil, fmt.Errorf("subpy: an int that is no number")
		}
		return number, nil
	case kindList, kindTuple:
		items, err := readItems(uintptr(v.word), v.len)
		if v.kind == kindTuple {
			return Tuple(items), err
		}
		return items, err
	case kindDict:
		items, err := readItems(uintptr(v.word), 2*v.len)
		dict := make(Dict, 0, v.len)
		for pair := range slices.Chunk(items, 2) {
			dict = append(dict, Pair{pair[0], pair[1]})
		}
		return dict, err
	}
	return nil, fmt.Errorf("subpy: a value of kind %d: the library is newer than this package", v.kind)
}

func readItems(address, size uintptr) ([]any, error) {
	items := make([]any, size)
	for i := range size {
		item, err := read(at[value](address + i*unsafe.Sizeof(value{})))
		if err != nil {
			return nil, err
		}
		items[i] = item
	}
	return items, nil
}
