package subpy

import (
	"math"
	"math/big"
	"reflect"
	"unsafe"
)

// maxDepth is how deeply values may be nested, in both directions; the library has the same limit.
const maxDepth = 1000

var (
	bigIntType        = reflect.TypeFor[big.Int]()
	dictType          = reflect.TypeFor[Dict]()
	tupleType         = reflect.TypeFor[Tuple]()
	orderedType       = reflect.TypeFor[Ordered]()
	kwargsType        = reflect.TypeFor[Kwargs]()
	orderedKwargsType = reflect.TypeFor[OrderedKwargs]()
)

// encode writes a Go value as a subpy_value into C memory. depth counts the containers around it.
//
// The types that programs use most are told apart here; the rest is left to reflection.
func (f *frame) encode(to *value, from any, depth int) *ConversionError {
	switch from := from.(type) {
	case nil:
		*to = value{}
	case bool:
		*to = boolValue(from)
	case int:
		*to = intValue(int64(from))
	case int64:
		*to = intValue(from)
	case float64:
		*to = floatValue(from)
	case string:
		return f.encodeText(to, kindStr, from)
	case []byte:
		return f.encodeText(to, kindBytes, unsafe.String(unsafe.SliceData(from), len(from)))
	case []any:
		return f.encodeItems(to, kindList, from, depth)
	case Tuple:
		return f.encodeItems(to, kindTuple, from, depth)
	case map[string]any:
		return f.encodeMap(to, from, depth)
	default:
		return f.encodeReflect(to, reflect.ValueOf(from), depth)
	}
	return nil
}

func boolValue(b bool) value {
	if b {
		return value{kind: kindBool, data: trueData}
	}
	return value{kind: kindBool}
}

// trueData is true in the first byte, whatever the order of bytes, as C's bool in the union.
const trueData = 0x0101010101010101

func intValue(n int64) value {
	return value{kind: kindInt, data: uint64(n)}
}

func floatValue(n float64) value {
	return value{kind: kindFloat, data: math.Float64bits(n)}
}

// pointTo makes a value of n elements at memory.
func pointTo(to *value, kind int32, n int, memory unsafe.Pointer) {
	*to = value{kind: kind, len: uintptr(n), data: uint64(uintptr(memory))}
}

// Text is not checked here: the library does it, and names the offset.
func (f *frame) encodeText(to *value, kind int32, text string) *ConversionError {
	address, err := f.copyText(text)
	*to = value{kind: kind, len: uintptr(len(text)), data: uint64(address)}
	return err
}

func (f *frame) encodeBig(to *value, n *big.Int) *ConversionError {
	if n.IsInt64() {
		*to = intValue(n.Int64())
		return nil
	}
	text := make([]byte, 0, 4+n.BitLen()/4)
	if n.Sign() < 0 {
		text = append(text, '-')
	}
	text = append(text, "0x"...)
	text = new(big.Int).Abs(n).Append(text, 16)
	return f.encodeText(to, kindBigInt, unsafe.String(unsafe.SliceData(text), len(text)))
}

func (f *frame) encodeUint(to *value, n uint64) *ConversionError {
	if n > math.MaxInt64 {
		return f.encodeBig(to, new(big.Int).SetUint64(n))
	}
	*to = intValue(int64(n))
	return nil
}

// values makes room for the items of a tuple or list, and makes it their owner.
func (f *frame) values(to *value, kind int32, n, depth int) ([]value, *ConversionError) {
	memory, err := f.elements(to, kind, n, valueSize, depth)
	if memory == nil {
		return nil, err
	}
	return unsafe.Slice((*value)(memory), n), nil
}

// newPairs makes room for the pairs of a dict.
func (f *frame) newPairs(to *value, n, depth int) ([]pair, *ConversionError) {
	memory, err := f.elements(to, kindDict, n, pairSize, depth)
	if memory == nil {
		return nil, err
	}
	return unsafe.Slice((*pair)(memory), n), nil
}

func (f *frame) elements(to *value, kind int32, n int, size uintptr, depth int) (unsafe.Pointer, *ConversionError) {
	if depth >= maxDepth {
		return nil, errTooDeep()
	}
	if n == 0 {
		*to = value{kind: kind}
		return nil, nil
	}
	var memory unsafe.Pointer
	if uintptr(n) <= largestArg/size {
		memory = f.alloc(uintptr(n) * size)
	}
	if memory == nil {
		return nil, errTooLarge()
	}
	pointTo(to, kind, n, memory)
	return memory, nil
}

func (f *frame) encodeItems(to *value, kind int32, from []any, depth int) *ConversionError {
	items, err := f.values(to, kind, len(from), depth)
	if err != nil {
		return err
	}
	for i := range items {
		if err := f.encode(&items[i], from[i], depth+1); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (f *frame) encodeMap(to *value, from map[string]any, depth int) *ConversionError {
	pairs, err := f.newPairs(to, len(from), depth)
	if err != nil {
		return err
	}
	i := 0
	for key, element := range from {
		if err := f.encodeText(&pairs[i].key, kindStr, key); err != nil {
			return err
		}
		if err := f.encode(&pairs[i].value, element, depth+1); err != nil {
			return err.atKey(&pairs[i].key)
		}
		i++
	}
	return nil
}

// encodeReflect encodes a value of any type. It is apart from encode so that the arguments of simple calls need not be
// moved to the heap.
func (f *frame) encodeReflect(to *value, from reflect.Value, depth int) *ConversionError {
	switch from.Kind() {
	case reflect.Bool:
		*to = boolValue(from.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		*to = intValue(from.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return f.encodeUint(to, from.Uint())
	case reflect.Float32, reflect.Float64:
		*to = floatValue(from.Float())
	case reflect.Complex64, reflect.Complex128:
		return f.encodeComplex(to, from.Complex())
	case reflect.String:
		return f.encodeText(to, kindStr, from.String())
	case reflect.Interface:
		if from.IsNil() {
			*to = value{}
			return nil
		}
		return f.encodeReflect(to, from.Elem(), depth)
	case reflect.Pointer:
		return f.encodePointer(to, from, depth)
	case reflect.Slice, reflect.Array:
		return f.encodeSequence(to, from, depth)
	case reflect.Map:
		return f.encodeReflectMap(to, from, depth)
	case reflect.Struct:
		return f.encodeStruct(to, from, depth)
	default:
		return conversionError("%s cannot be passed to Python", from.Type())
	}
	return nil
}

// A pointer stands for what it points to. One to another pointer counts as a level, since it may lead to itself.
func (f *frame) encodePointer(to *value, from reflect.Value, depth int) *ConversionError {
	if from.IsNil() {
		*to = value{}
		return nil
	}
	switch element := from.Type().Elem(); {
	case element == bigIntType:
		return f.encodeBig(to, (*big.Int)(from.UnsafePointer()))
	case from.Type() == bufferType:
		return f.encodeBuffer(to, at[Buffer](uintptr(from.UnsafePointer())))
	case from.Type() == objectType:
		*to = value{kind: kindObject, data: (*Object)(from.UnsafePointer()).handle}
		return nil
	case from.Type() == functionType:
		*to = value{kind: kindObject, data: (*Function)(from.UnsafePointer()).handle}
		return nil
	case from.Type() == queueType:
		*to = value{kind: kindQueue, data: (*Queue)(from.UnsafePointer()).handle}
		return nil
	case element.Kind() == reflect.Pointer, element.Kind() == reflect.Interface:
		if depth++; depth > maxDepth {
			return errTooDeep()
		}
	}
	return f.encodeReflect(to, from.Elem(), depth)
}

// A slice is a list. An array is a tuple: both have a fixed number of items, and both can be keys.
func (f *frame) encodeSequence(to *value, from reflect.Value, depth int) *ConversionError {
	t := from.Type()
	if t.Elem().Kind() == reflect.Uint8 {
		return f.encodeBytes(to, from)
	}
	if t == dictType {
		return f.encodeDict(to, from, depth)
	}
	if t == orderedKwargsType {
		return errKwargs()
	}
	var kind int32 = kindList
	if t == tupleType || t.Kind() == reflect.Array {
		kind = kindTuple
	}
	items, err := f.values(to, kind, from.Len(), depth)
	if err != nil {
		return err
	}
	for i := range items {
		if err := f.encodeReflect(&items[i], from.Index(i), depth+1); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (f *frame) encodeBytes(to *value, from reflect.Value) *ConversionError {
	if from.Kind() == reflect.Slice || from.CanAddr() {
		data := from.Bytes()
		return f.encodeText(to, kindBytes, unsafe.String(unsafe.SliceData(data), len(data)))
	}
	data := make([]byte, from.Len())
	for i := range data {
		data[i] = byte(from.Index(i).Uint())
	}
	return f.encodeText(to, kindBytes, unsafe.String(unsafe.SliceData(data), len(data)))
}

func (f *frame) encodeDict(to *value, from reflect.Value, depth int) *ConversionError {
	pairs, err := f.newPairs(to, from.Len(), depth)
	if err != nil {
		return err
	}
	for i := range pairs {
		entry := from.Index(i)
		if err := f.encodePair(&pairs[i], entry.Field(0), entry.Field(1), depth); err != nil {
			return err
		}
	}
	return nil
}

func (f *frame) encodeReflectMap(to *value, from reflect.Value, depth int) *ConversionError {
	if from.Type() == kwargsType {
		return errKwargs()
	}
	if isSet(from.Type()) {
		return f.encodeSet(to, from, depth)
	}
	pairs, err := f.newPairs(to, from.Len(), depth)
	if err != nil {
		return err
	}
	// MapRange would let all arguments of all calls escape to the heap.
	for i, key := range from.MapKeys() {
		element := from.MapIndex(key)
		if !element.IsValid() {
			return conversionError("%v is not equal to itself", key).inKey()
		}
		if err := f.encodePair(&pairs[i], key, element, depth); err != nil {
			return err
		}
	}
	return nil
}

func (f *frame) encodePair(to *pair, key, element reflect.Value, depth int) *ConversionError {
	if err := f.encodeReflect(&to.key, key, depth+1); err != nil {
		return err.inKey()
	}
	if err := f.encodeReflect(&to.value, element, depth+1); err != nil {
		return err.atKey(&to.key)
	}
	return nil
}

func (f *frame) encodeStruct(to *value, from reflect.Value, depth int) *ConversionError {
	if from.Type() == bigIntType {
		if !from.CanAddr() {
			return conversionError("a big.Int cannot be passed by value, pass a *big.Int")
		}
		return f.encodeBig(to, (*big.Int)(from.Addr().UnsafePointer()))
	}
	switch from.Type() {
	case orderedType:
		return f.encodeReflect(to, from.Field(0), depth)
	case taggedType:
		return f.encodeTagged(to, Tag(from.Field(0).Uint()), from.Field(1), depth)
	case timeType:
		return f.encodeTime(to, timeOf(from))
	}
	fields, err := fieldsOf(from.Type())
	if err != nil {
		return err
	}
	pairs, err := f.newPairs(to, len(fields.list), depth)
	if err != nil {
		return err
	}
	n := 0
	for _, field := range fields.list {
		element, err := from.FieldByIndexErr(field.index)
		if err != nil || field.omitEmpty && isEmpty(element) {
			continue // in an embedded struct that is not there, or not wanted
		}
		pairs[n].key = value{}
		if err := f.encodeText(&pairs[n].key, kindStr, field.name); err != nil {
			return err
		}
		if err := f.encodeReflect(&pairs[n].value, element, depth+1); err != nil {
			return err.atKey(&pairs[n].key)
		}
		n++
	}
	to.len = uintptr(n)
	return nil
}
