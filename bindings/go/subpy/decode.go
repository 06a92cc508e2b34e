package subpy

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"unsafe"
)

// A reading is what there is to know while a value is read.
type reading struct {
	root    *value       // nil when somebody else frees it, so that nothing in it can be taken over
	ordered bool         // each dict is a Dict
	handles bool         // there are handles in it, or memory that is pinned, so that it is freed at once
	pins    bool         // buffers may be pinned memory, and not arrays alone
	owner   *bufferOwner // of the buffers that have been read, nil when there are none
}

// special tells whether the result is not done with when it was read.
func (r *reading) special() bool {
	return r.handles || r.owner != nil
}

// finish is called when a result was read, of which the program did not get all, or that is special. What it did not get is freed.
func (r *reading) finish(f *frame, err *ConversionError) {
	if err == nil && r.owner != nil {
		r.owner.adopt(r.root)
	} else {
		f.freeResult()
	}
}

// decodeAny reads a result as the Go type that fits its kind.
func decodeAny(r *reading, from *value) (any, *ConversionError) {
	if from.kind == kindInt {
		return int64(from.data), nil
	}
	if from.tag() != 0 {
		return decodeTag(r, from)
	}
	switch from.kind {
	case kindNone:
		return nil, nil
	case kindBool:
		return from.bool(), nil
	case kindFloat:
		return from.float(), nil
	case kindStr:
		return strings.Clone(from.text()), nil
	case kindBytes:
		return []byte(from.text()), nil
	case kindBigInt:
		return from.bigInt(), nil
	case kindList:
		return decodeItems(r, from)
	case kindTuple:
		items, err := decodeItems(r, from)
		return Tuple(items), err
	case kindDict:
		return decodePairs(r, from)
	case kindObject:
		return r.object(from)
	case kindQueue:
		return r.queue(from)
	case kindBuffer:
		return r.buffer(from)
	default:
		return nil, errUnknownKind(from.kind)
	}
}

// errUnknownKind is for what a newer library returned.
func errUnknownKind(kind int32) *ConversionError {
	return conversionError("a value of kind %d, which this package does not know", kind)
}

func decodeItems(r *reading, from *value) ([]any, *ConversionError) {
	items := make([]any, from.len)
	for i := range items {
		item, err := decodeAny(r, &from.items()[i])
		if err != nil {
			return nil, err.at(i)
		}
		items[i] = item
	}
	return items, nil
}

func decodePairs(r *reading, from *value) (any, *ConversionError) {
	pairs, keys := from.pairs(), anyKeys
	if !r.ordered {
		keys = keysOf(pairs)
	}
	switch keys {
	case strKeys:
		result := make(map[string]any, len(pairs))
		for i := range pairs {
			element, err := decodeAny(r, &pairs[i].value)
			if err != nil {
				return nil, err.atKey(&pairs[i].key)
			}
			result[strings.Clone(pairs[i].key.text())] = element
		}
		return result, nil
	case mapKeys:
		result := make(map[any]any, len(pairs))
		for i := range pairs {
			entry, err := decodePair(r, &pairs[i])
			if err != nil {
				return nil, err
			}
			result[entry.Key] = entry.Value
		}
		return result, nil
	default:
		return decodeDict(r, pairs)
	}
}

func decodeDict(r *reading, pairs []pair) (Dict, *ConversionError) {
	result := make(Dict, len(pairs))
	for i := range pairs {
		entry, err := decodePair(r, &pairs[i])
		if err != nil {
			return nil, err
		}
		result[i] = entry
	}
	return result, nil
}

func decodePair(r *reading, from *pair) (entry Pair, err *ConversionError) {
	if entry.Key, err = decodeAny(r, &from.key); err != nil {
		return entry, err.inKey()
	}
	if entry.Value, err = decodeAny(r, &from.value); err != nil {
		return entry, err.atKey(&from.key)
	}
	return entry, nil
}

// What a Go map has to be to hold the keys of a dict.
const (
	strKeys = iota // a map[string]any does
	mapKeys        // a map[any]any does
	anyKeys        // none does
)

func keysOf(pairs []pair) int {
	keys := strKeys
	for i := range pairs {
		switch key := &pairs[i].key; key.kind {
		case kindStr:
			if key.tag() != 0 {
				keys = mapKeys
			}
		case kindNone, kindBool, kindInt:
			keys = mapKeys
		case kindFloat:
			if n := key.float(); n != n {
				return anyKeys
			}
			keys = mapKeys
		default:
			return anyKeys
		}
	}
	return keys
}

// decodeTo reads a result as a T. The types that programs use most are told apart here, one by one, since a switch would
// jump to where the processor does not expect it. The rest is left to reflection, which wants a copy on the heap.
func decodeTo[T any](r *reading, from *value, to *T) *ConversionError {
	if to, ok := any(to).(*any); ok {
		result, err := decodeAny(r, from)
		if err == nil {
			*to = result
		}
		return err
	}
	if to, ok := any(to).(*int); ok && from.kind == kindInt {
		if n := int(from.data); uint64(n) == from.data {
			*to = n
			return nil
		}
	}
	if to, ok := any(to).(*float64); ok && from.kind == kindFloat {
		*to = from.float()
		return nil
	}
	if to, ok := any(to).(*string); ok && from.kind == kindStr {
		*to = strings.Clone(from.text())
		return nil
	}
	if isIgnored[T]() {
		return nil
	}
	result := new(T)
	if err := decode(r, from, reflect.ValueOf(result).Elem()); err != nil {
		return err
	}
	*to = *result
	return nil
}

// decode reads a result into a Go value of any type. What does not fit exactly is an error.
func decode(r *reading, from *value, to reflect.Value) *ConversionError {
	if from.kind >= kindObject || from.tag() != 0 {
		if done, err := r.specially(from, to); done {
			return err
		}
	}
	switch to.Kind() {
	case reflect.Bool:
		if from.kind == kindBool {
			to.SetBool(from.bool())
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return decodeInt(from, to)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return decodeUint(from, to)
	case reflect.Float32, reflect.Float64:
		return decodeFloat(from, to)
	case reflect.String:
		if from.kind == kindStr {
			to.SetString(strings.Clone(from.text()))
			return nil
		}
	case reflect.Interface:
		if to.NumMethod() == 0 {
			result, err := decodeAny(r, from)
			setAny(to, result)
			return err
		}
	case reflect.Pointer:
		return decodePointer(r, from, to)
	case reflect.Slice:
		return decodeSlice(r, from, to)
	case reflect.Array:
		return decodeArray(r, from, to)
	case reflect.Map:
		return decodeMap(r, from, to)
	case reflect.Struct:
		return decodeStruct(r, from, to)
	}
	return mismatch(from, to)
}

func setAny(to reflect.Value, result any) {
	if result == nil {
		to.SetZero()
	} else {
		to.Set(reflect.ValueOf(result))
	}
}

var pythonNames = [...]string{"None", "bool", "int", "int", "float", "str", "bytes", "tuple", "list", "dict",
	"object", "buffer", "queue"}

// kindName is what Python calls a kind, for errors.
func kindName(kind int32) string {
	if kind < 0 || int(kind) >= len(pythonNames) {
		return fmt.Sprintf("value of unknown kind %d", kind)
	}
	return pythonNames[kind]
}

func mismatch(from *value, to reflect.Value) *ConversionError {
	if from.kind < kindNone || from.kind > kindQueue {
		return errUnknownKind(from.kind)
	}
	return conversionError("a Python %s does not go into a Go %s", kindName(from.kind), to.Type())
}

func outOfRange(number any, to reflect.Value) *ConversionError {
	text := fmt.Sprint(number)
	if len(text) > 40 {
		text = fmt.Sprintf("%s... (%d digits)", text[:20], len(strings.TrimPrefix(text, "-")))
	}
	return conversionError("%s does not fit a Go %s", text, to.Type())
}

func decodeInt(from *value, to reflect.Value) *ConversionError {
	switch from.kind {
	case kindInt:
		if n := int64(from.data); !to.OverflowInt(n) {
			to.SetInt(n)
			return nil
		}
		return outOfRange(int64(from.data), to)
	case kindBigInt:
		return outOfRange(from.bigInt(), to)
	}
	return mismatch(from, to)
}

func decodeUint(from *value, to reflect.Value) *ConversionError {
	switch from.kind {
	case kindInt:
		if n := int64(from.data); n >= 0 && !to.OverflowUint(uint64(n)) {
			to.SetUint(uint64(n))
			return nil
		}
		return outOfRange(int64(from.data), to)
	case kindBigInt:
		n := from.bigInt()
		if n.IsUint64() && !to.OverflowUint(n.Uint64()) {
			to.SetUint(n.Uint64())
			return nil
		}
		return outOfRange(n, to)
	}
	return mismatch(from, to)
}

// An int goes into a float when the float is equal to it, since Python code often has an int where a float is meant.
func decodeFloat(from *value, to reflect.Value) *ConversionError {
	switch from.kind {
	case kindFloat:
		if n := from.float(); !to.OverflowFloat(n) {
			to.SetFloat(n)
			return nil
		}
		return outOfRange(from.float(), to)
	case kindInt:
		to.SetFloat(float64(int64(from.data)))
		if exact, _ := big.NewFloat(to.Float()).Int(nil); exact.Cmp(big.NewInt(int64(from.data))) == 0 {
			return nil
		}
		return outOfRange(int64(from.data), to)
	case kindBigInt:
		return outOfRange(from.bigInt(), to)
	}
	return mismatch(from, to)
}

func decodePointer(r *reading, from *value, to reflect.Value) *ConversionError {
	if from.kind == kindNone {
		to.SetZero()
		return nil
	}
	if t := to.Type(); t == objectType || t == bufferType || t == queueType {
		return mismatch(from, to) // or it would have been read before
	}
	if to.IsNil() {
		to.Set(reflect.New(to.Type().Elem()))
	}
	return decode(r, from, to.Elem())
}

func isSequence(v *value) bool {
	return v.kind == kindList || v.kind == kindTuple
}

func decodeSlice(r *reading, from *value, to reflect.Value) *ConversionError {
	switch t := to.Type(); {
	case from.kind == kindNone:
		to.SetZero()
		return nil
	case from.kind == kindBytes && t.Elem().Kind() == reflect.Uint8:
		to.SetBytes([]byte(from.text()))
		return nil
	case from.kind == kindDict && t == dictType:
		dict, err := decodeDict(r, from.pairs())
		to.Set(reflect.ValueOf(dict))
		return err
	case from.kind == kindTuple, from.kind == kindList && t != tupleType:
		if t != dictType && t.Elem().Kind() != reflect.Uint8 {
			items := reflect.MakeSlice(t, int(from.len), int(from.len))
			err := decodeElements(r, from, items)
			to.Set(items)
			return err
		}
	}
	return mismatch(from, to)
}

func decodeElements(r *reading, from *value, to reflect.Value) *ConversionError {
	items := from.items()
	for i := range items {
		if err := decode(r, &items[i], to.Index(i)); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func decodeArray(r *reading, from *value, to reflect.Value) *ConversionError {
	bytes := to.Type().Elem().Kind() == reflect.Uint8
	if bytes && from.kind != kindBytes || !bytes && !isSequence(from) {
		return mismatch(from, to)
	}
	if int(from.len) != to.Len() {
		return conversionError("a Python %s of length %d does not go into a Go %s", kindName(from.kind), from.len, to.Type())
	}
	if !bytes {
		return decodeElements(r, from, to)
	}
	copy(to.Bytes(), from.text())
	return nil
}

func decodeMap(r *reading, from *value, to reflect.Value) *ConversionError {
	if from.kind == kindNone {
		to.SetZero()
		return nil
	}
	if from.kind != kindDict {
		return mismatch(from, to)
	}
	t, pairs := to.Type(), from.pairs()
	result := reflect.MakeMapWithSize(t, len(pairs))
	for i := range pairs {
		key, element := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := decode(r, &pairs[i].key, key); err != nil {
			return err.inKey()
		}
		if !key.Comparable() {
			return conversionError("a Python %s cannot be a key of a Go map, use subpy.Dict", kindName(pairs[i].key.kind)).inKey()
		}
		if err := decode(r, &pairs[i].value, element); err != nil {
			return err.atKey(&pairs[i].key)
		}
		if result.SetMapIndex(key, element); result.Len() != i+1 {
			return conversionError("another key is the same Go %s", t.Key()).atKey(&pairs[i].key)
		}
	}
	to.Set(result)
	return nil
}

// Keys that the struct has no field for are left out, and fields that the dict has no key for are left as they are.
func decodeStruct(r *reading, from *value, to reflect.Value) *ConversionError {
	if to.Type() == bigIntType {
		return decodeBig(from, to)
	}
	if to.Type() == orderedType {
		outer := r.ordered
		r.ordered = true
		result, err := decodeAny(r, from)
		r.ordered = outer
		setAny(to.Field(0), result)
		return err
	}
	if from.kind != kindDict {
		return mismatch(from, to)
	}
	fields, err := fieldsOf(to.Type())
	if err != nil {
		return err
	}
	pairs := from.pairs()
	for i := range pairs {
		key := &pairs[i].key
		if key.kind != kindStr {
			return conversionError("a Python %s is no name of a field of a Go %s", kindName(key.kind), to.Type()).inKey()
		}
		at, known := fields.byName[key.text()]
		if !known {
			continue
		}
		field, err := settable(to, fields.list[at].index)
		if err == nil {
			err = decode(r, &pairs[i].value, field)
		}
		if err != nil {
			return err.atKey(key)
		}
	}
	return nil
}

// settable is the field of a struct, in embedded structs that are made on the way.
func settable(to reflect.Value, index []int) (reflect.Value, *ConversionError) {
	for depth, i := range index {
		if depth > 0 && to.Kind() == reflect.Pointer {
			if to.IsNil() {
				if !to.CanSet() {
					return to, conversionError("%s is embedded by a pointer and not exported", to.Type().Elem())
				}
				to.Set(reflect.New(to.Type().Elem()))
			}
			to = to.Elem()
		}
		to = to.Field(i)
	}
	return to, nil
}

func decodeBig(from *value, to reflect.Value) *ConversionError {
	n := (*big.Int)(unsafe.Pointer(to.UnsafeAddr()))
	switch from.kind {
	case kindInt:
		n.SetInt64(int64(from.data))
	case kindBigInt:
		n.Set(from.bigInt())
	default:
		return mismatch(from, to)
	}
	return nil
}
