package subpy

import (
	"math/big"
	"unsafe"
)

// Tuple is a Python tuple. A slice that is no Tuple is a list.
type Tuple []any

// Dict is a Python dict with its order. As an argument it keeps the order in which its pairs stand; a Go map has none.
// It is also the result for a dict with keys that a Go map cannot hold or find again: bytes, tuples, ints beyond 64 bits
// and NaN.
type Dict []Pair

// Pair is one entry of a Dict.
type Pair struct {
	Key, Value any
}

// Get returns the value for a key that is a string, and whether there is one.
func (d Dict) Get(key string) (value any, ok bool) {
	for _, pair := range d {
		if name, isString := pair.Key.(string); isString && name == key {
			return pair.Value, true
		}
	}
	return nil, false
}

// Kwargs are keyword arguments, given as the last argument of a call:
//
//	interp.Call("builtins:sorted", words, subpy.Kwargs{"reverse": true})
type Kwargs map[string]any

// OrderedKwargs are keyword arguments that arrive in this order, where the order of [Kwargs] is unspecified. Their keys are
// strings.
type OrderedKwargs Dict

// Ordered is a type of result that keeps the order of every dict in it. Its Value is what any would be, but each dict is a
// [Dict]. As an argument it stands for its Value.
type Ordered struct {
	Value any
}

// Ignored is a type of result that takes anything and keeps nothing: what Python returns to [CallAs] and [EvalAs] is not
// converted, so it may be of any type.
//
//	_, err := subpy.CallAs[subpy.Ignored](interp, "prepare")
//
// The result of a [Thread] is converted in any case, before anybody says whether it is wanted.
type Ignored struct{}

// value mirrors subpy_value. Its data is a number even when it is an address, because values live in C memory, where
// Go's garbage collector must not look for pointers.
type value struct {
	kind  int32
	flags uint32
	len   uintptr
	data  uint64
}

// pair mirrors subpy_pair.
type pair struct {
	key, value value
}

const (
	valueSize = unsafe.Sizeof(value{})
	pairSize  = unsafe.Sizeof(pair{})
)

// The kinds of subpy.h, as constants that a switch can use.
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
	kindObject
	kindBuffer
	kindQueue
	kindError
)

// tag is what the value stands for besides its kind, 0 for nothing.
func (v *value) tag() Tag {
	return Tag(v.flags & 0xff)
}

// pointer is what data points to.
func (v *value) pointer() unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&v.data))
}

func (v *value) float() float64 {
	return *(*float64)(unsafe.Pointer(&v.data))
}

// bool looks at the first byte, which is all that C has.
func (v *value) bool() bool {
	return *(*byte)(unsafe.Pointer(&v.data)) != 0
}

// text is the text or the bytes of a value, where they lie.
func (v *value) text() string {
	if v.len == 0 {
		return ""
	}
	return unsafe.String((*byte)(v.pointer()), v.len)
}

func (v *value) items() []value {
	if v.len == 0 {
		return nil // its address means nothing then
	}
	return unsafe.Slice((*value)(v.pointer()), v.len)
}

func (v *value) pairs() []pair {
	if v.len == 0 {
		return nil
	}
	return unsafe.Slice((*pair)(v.pointer()), v.len)
}

// bigInt reads a hexadecimal number, "-0x1ff".
func (v *value) bigInt() *big.Int {
	number, _ := new(big.Int).SetString(v.text(), 0)
	return number
}
