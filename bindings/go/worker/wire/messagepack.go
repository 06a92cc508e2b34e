package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// A packedField is a value of MessagePack that was read.
type packedField struct{ value any }

func readMessagePackFields(body []byte) (map[string]field, error) {
	if len(body) == 0 {
		return nil, errors.New("the body is empty")
	}
	value, rest, err := readPacked(body, 0)
	if err != nil {
		return nil, fmt.Errorf("the body is not MessagePack: %w, at byte %d", err, len(body)-len(rest))
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("the body has %d bytes behind its end", len(rest))
	}
	if fields, err := (packedField{value}).fields(); err == nil {
		return fields, nil
	}
	return nil, fmt.Errorf("the body is a MessagePack %s, not a map with texts as keys", packedField{value}.kind())
}

func (f packedField) fields() (map[string]field, error) {
	all, ok := f.value.(map[string]any)
	if !ok {
		return nil, f.mismatch("map with texts as keys")
	}
	fields := make(map[string]field, len(all))
	for name, value := range all {
		fields[name] = packedField{value}
	}
	return fields, nil
}

// readPacked reads a value. With an error comes what follows the place where it is.
func readPacked(from []byte, depth int) (value any, rest []byte, err error) {
	if depth > Deepest {
		return nil, from, fmt.Errorf("it is nested more than %d levels deep", Deepest)
	}
	if len(from) == 0 {
		return nil, from, errors.New("it ends too early")
	}
	switch kind := msgp.NextType(from); kind {
	case msgp.NilType:
		rest, err = msgp.ReadNilBytes(from)
	case msgp.BoolType:
		value, rest, err = msgp.ReadBoolBytes(from)
	case msgp.IntType:
		value, rest, err = msgp.ReadInt64Bytes(from)
	case msgp.UintType:
		var n uint64
		if n, rest, err = msgp.ReadUint64Bytes(from); err == nil {
			if value = n; n <= math.MaxInt64 {
				value = int64(n)
			}
		}
	case msgp.Float32Type:
		var n float32
		n, rest, err = msgp.ReadFloat32Bytes(from)
		value = float64(n)
	case msgp.Float64Type:
		value, rest, err = msgp.ReadFloat64Bytes(from)
	case msgp.StrType:
		var text string
		if text, rest, err = msgp.ReadStringBytes(from); err == nil && !utf8.ValidString(text) {
			return nil, from, errors.New("a text is not UTF-8")
		}
		value = text
	case msgp.BinType:
		value, rest, err = msgp.ReadBytesBytes(from, []byte{})
	case msgp.ArrayType:
		return readPackedArray(from, depth)
	case msgp.MapType:
		return readPackedMap(from, depth)
	case msgp.InvalidType:
		return nil, from, fmt.Errorf("the byte 0x%02x begins no value", from[0])
	default:
		return nil, from, fmt.Errorf("a value of type %v, which is not supported", kind)
	}
	if err != nil {
		return nil, from, errors.New("it ends too early")
	}
	return value, rest, nil
}

// mostAhead is for how many items there is room before they are read: arrays in arrays may each claim all bytes that are left.
const mostAhead = 64

func readPackedArray(from []byte, depth int) (any, []byte, error) {
	count, rest, err := msgp.ReadArrayHeaderBytes(from)
	if err != nil || int64(count) > int64(len(rest)) {
		return nil, from, errors.New("an array ends too early")
	}
	items := make([]any, 0, min(count, mostAhead))
	for range count {
		var item any
		if item, rest, err = readPacked(rest, depth+1); err != nil {
			return nil, rest, err
		}
		items = append(items, item)
	}
	return items, rest, nil
}

// readPackedMap reads a map[string]any or, when a key is no text, a map[any]any.
func readPackedMap(from []byte, depth int) (any, []byte, error) {
	count, rest, err := msgp.ReadMapHeaderBytes(from)
	if err != nil || 2*int64(count) > int64(len(rest)) {
		return nil, from, errors.New("a map ends too early")
	}
	texts := make(map[string]any, min(count, mostAhead))
	var others map[any]any
	for range count {
		var key, value any
		start := rest
		if key, rest, err = readPacked(rest, depth+1); err != nil {
			return nil, rest, err
		}
		if key != nil && !reflect.TypeOf(key).Comparable() {
			return nil, start, fmt.Errorf("a %s cannot be the key of a map", packedField{key}.kind())
		}
		if value, rest, err = readPacked(rest, depth+1); err != nil {
			return nil, rest, err
		}
		if text, ok := key.(string); ok && others == nil {
			texts[text] = value
			continue
		}
		if others == nil {
			others = make(map[any]any, min(count, mostAhead))
			for text, value := range texts {
				others[text] = value
			}
		}
		others[key] = value
	}
	if others != nil {
		return others, rest, nil
	}
	return texts, rest, nil
}

func (f packedField) kind() string {
	switch f.value.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case int64, uint64:
		return "integer"
	case float64:
		return "float"
	case string:
		return "text"
	case []byte:
		return "binary"
	case []any:
		return "array"
	}
	return "map"
}

func (f packedField) mismatch(want string) error {
	return fmt.Errorf("is a MessagePack %s, not a %s", f.kind(), want)
}

func (f packedField) text() (string, error) {
	if text, ok := f.value.(string); ok {
		return text, nil
	}
	return "", f.mismatch("text")
}

func (f packedField) number() (float64, error) {
	switch n := f.value.(type) {
	case int64:
		return float64(n), nil
	case uint64:
		return float64(n), nil
	case float64:
		return n, nil
	}
	return 0, f.mismatch("number")
}

func (f packedField) integer() (int64, error) {
	if n, ok := f.value.(int64); ok {
		return n, nil
	}
	return 0, f.mismatch("64-bit integer")
}

func (f packedField) array() (any, error) {
	if items, ok := f.value.([]any); ok {
		return items, nil
	}
	return nil, f.mismatch("array")
}

func (f packedField) object() (any, error) {
	if entries, ok := f.value.(map[string]any); ok {
		return entries, nil
	}
	return nil, f.mismatch("map with texts as keys")
}

func (f packedField) any() (any, error) {
	return f.value, nil
}

func writeMessagePackFields(fields []pair) ([]byte, error) {
	to := msgp.AppendMapHeader(nil, uint32(len(fields)))
	var err error
	for _, f := range fields {
		to = msgp.AppendString(to, f.name)
		if to, err = appendPacked(to, f.value, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return to, nil
}

// appendPacked writes a value: what is common at once, the rest by reflection.
func appendPacked(to []byte, value any, depth int) ([]byte, error) {
	if depth > Deepest {
		return nil, fmt.Errorf("it is nested more than %d levels deep", Deepest)
	}
	switch v := value.(type) {
	case nil:
		return msgp.AppendNil(to), nil
	case bool:
		return msgp.AppendBool(to, v), nil
	case int64:
		return msgp.AppendInt64(to, v), nil
	case float64:
		return msgp.AppendFloat64(to, v), nil
	case string:
		return msgp.AppendString(to, v), nil
	case []byte:
		return msgp.AppendBytes(to, v), nil
	case *big.Int:
		if !v.IsUint64() {
			return nil, errors.New("an integer has more than the 64 bits that MessagePack has for one")
		}
		return msgp.AppendUint64(to, v.Uint64()), nil
	case json.RawMessage:
		return nil, errors.New("a text of JSON has no form in MessagePack")
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return msgp.AppendInt64(to, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return msgp.AppendUint64(to, v.Uint()), nil
	case reflect.Float32:
		return msgp.AppendFloat64(to, v.Float()), nil
	case reflect.String:
		return msgp.AppendString(to, v.String()), nil
	case reflect.Slice, reflect.Array:
		to = msgp.AppendArrayHeader(to, uint32(v.Len()))
		var err error
		for i := range v.Len() {
			if to, err = appendPacked(to, v.Index(i).Interface(), depth+1); err != nil {
				return nil, err
			}
		}
		return to, nil
	case reflect.Map:
		to = msgp.AppendMapHeader(to, uint32(v.Len()))
		var err error
		for entry := v.MapRange(); entry.Next(); {
			if to, err = appendPacked(to, entry.Key().Interface(), depth+1); err != nil {
				return nil, err
			}
			if to, err = appendPacked(to, entry.Value().Interface(), depth+1); err != nil {
				return nil, err
			}
		}
		return to, nil
	}
	return nil, fmt.Errorf("a Go %T has no form in MessagePack", value)
}
