package subpy

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"time"
	"unsafe"
)

// A Tag says which Python type a value has that Go has no own type for, see [Tagged].
type Tag uint8

// The tags, with what the Value of a [Tagged] is.
const (
	TagSet       Tag = 1  // []any
	TagFrozenSet Tag = 2  // Tuple
	TagComplex   Tag = 3  // Tuple of two float64; Go's complex numbers have it by themselves
	TagDate      Tag = 4  // string, in ISO 8601
	TagTime      Tag = 5  // string, in ISO 8601
	TagDateTime  Tag = 6  // string, in ISO 8601
	TagTimeDelta Tag = 7  // Tuple of three int64: days, seconds, microseconds
	TagDecimal   Tag = 8  // string
	TagUUID      Tag = 9  // string
	TagEnum      Tag = 10 // Tuple of "module:qualname", the member's name, and its value
	TagDataclass Tag = 11 // the dict of its fields, after "__class__", which is "module:qualname"
)

var tagNames = [...]string{
	"", "set", "frozenset", "complex", "date", "time", "datetime", "timedelta", "decimal", "uuid", "enum", "dataclass",
}

// String returns "set", "datetime" and so on.
func (t Tag) String() string {
	if int(t) < len(tagNames) && t != 0 {
		return tagNames[t]
	}
	return fmt.Sprintf("Tag(%d)", uint8(t))
}

// Tagged is a value of a Python type that has no counterpart in Go: what it is made of, and a tag that says what that stands
// for. It is an argument everywhere, and a result of interpreters that have [WithTaggedValues].
type Tagged struct {
	Tag   Tag
	Value any
}

// String returns `set [1, 2]`.
func (t Tagged) String() string {
	return t.Tag.String() + " " + string(appendValue(nil, t.Value, 0))
}

// WithTaggedValues lets results have sets, complex numbers, dates and times, Decimals, UUIDs, members of enums and dataclasses.
// As any they are complex128 or [Tagged]. Without it, they cannot be shared.
//
// What a tagged value is made of goes into what it goes into without the tag: a set into a slice, a dataclass into a struct.
// Besides, a set goes into a map[T]struct{}, a timedelta into a time.Duration, and what is a text into types with a method
// UnmarshalText, such as time.Time, for a datetime with a time zone.
func WithTaggedValues() Option {
	return withFlag(interpTaggedValues)
}

var (
	taggedType   = reflect.TypeFor[Tagged]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	nothingType  = reflect.TypeFor[struct{}]()
)

func (f *frame) encodeTagged(to *value, tag Tag, from reflect.Value, depth int) *ConversionError {
	if err := f.encodeReflect(to, from, depth); err != nil {
		return err
	}
	to.flags = uint32(tag)
	return nil
}

func (f *frame) encodeComplex(to *value, from complex128) *ConversionError {
	parts, err := f.values(to, kindTuple, 2, 0)
	if err != nil {
		return err
	}
	parts[0], parts[1] = floatValue(real(from)), floatValue(imag(from))
	to.flags = uint32(TagComplex)
	return nil
}

// A time is a datetime with an offset. Its location has no other counterpart.
func (f *frame) encodeTime(to *value, from time.Time) *ConversionError {
	if from.Nanosecond()%1000 != 0 {
		return conversionError("a datetime has microseconds, pass the time's Truncate(time.Microsecond)")
	}
	if year := from.Year(); year < 1 || year > 9999 {
		return conversionError("a datetime cannot be in the year %d", year)
	}
	layout := "2006-01-02T15:04:05.000000-07:00"
	if _, offset := from.Zone(); offset%60 != 0 {
		layout += ":00"
	}
	err := f.encodeText(to, kindStr, from.Format(layout))
	to.flags = uint32(TagDateTime)
	return err
}

// encodeSet makes a set of the keys of a map.
func (f *frame) encodeSet(to *value, from reflect.Value, depth int) *ConversionError {
	items, err := f.values(to, kindList, from.Len(), depth)
	if err != nil {
		return err
	}
	for i, key := range from.MapKeys() {
		if err := f.encodeReflect(&items[i], key, depth+1); err != nil {
			return err.inKey()
		}
	}
	to.flags = uint32(TagSet)
	return nil
}

// isSet tells whether a map is what Go has for a set.
func isSet(t reflect.Type) bool {
	return t.Kind() == reflect.Map && t.Elem() == nothingType
}

// decodeTag reads a value with a tag as the Go type that fits it.
func decodeTag(r *reading, from *value) (any, *ConversionError) {
	if number, ok := from.complex(); ok {
		return number, nil
	}
	plain := from.untagged()
	content, err := decodeAny(r, &plain)
	if err != nil {
		return nil, err
	}
	return Tagged{from.tag(), content}, nil
}

func (v *value) untagged() value {
	plain := *v
	plain.flags &^= 0xff
	return plain
}

func (v *value) complex() (number complex128, ok bool) {
	if v.tag() != TagComplex || v.kind != kindTuple || v.len != 2 {
		return 0, false
	}
	parts := v.items()
	return complex(parts[0].float(), parts[1].float()), true
}

// specially reads what only some types can hold: values with a tag, and those that are handles or buffers. done is false when it
// goes where the value goes without its tag.
func (r *reading) specially(from *value, to reflect.Value) (done bool, err *ConversionError) {
	t := to.Type()
	if t.Kind() == reflect.Interface && t.NumMethod() == 0 || t == orderedType {
		return false, nil
	}
	switch {
	case from.kind == kindObject && t == objectType:
		object, err := r.object(from)
		return true, set(to, object, err)
	case from.kind == kindQueue && t == queueType:
		queue, err := r.queue(from)
		return true, set(to, queue, err)
	case from.kind == kindBuffer && t == bufferType:
		buffer, err := r.buffer(from)
		return true, set(to, buffer, err)
	case from.kind < kindObject:
		return r.specialTag(from, to)
	case t.Kind() == reflect.Pointer:
		return false, nil
	case from.kind == kindBuffer:
		r.handles = r.handles || r.pins
		return true, decodeBuffer(r, from, to)
	default:
		r.handles = true
		return true, mismatch(from, to)
	}
}

func set[T any](to reflect.Value, result *T, err *ConversionError) *ConversionError {
	if err == nil {
		to.Set(reflect.ValueOf(result))
	}
	return err
}

func (r *reading) specialTag(from *value, to reflect.Value) (done bool, err *ConversionError) {
	t, tag := to.Type(), from.tag()
	switch {
	case t == taggedType:
		plain := from.untagged()
		content, err := decodeAny(r, &plain)
		if err == nil {
			to.Set(reflect.ValueOf(Tagged{tag, content}))
		}
		return true, err
	case t.Kind() == reflect.Complex64, t.Kind() == reflect.Complex128:
		number, ok := from.complex()
		if !ok {
			return true, mismatch(from, to)
		}
		if to.OverflowComplex(number) {
			return true, outOfRange(number, to)
		}
		to.SetComplex(number)
		return true, nil
	case t == durationType && tag == TagTimeDelta:
		return true, decodeDuration(from, to)
	case isSet(t) && (tag == TagSet || tag == TagFrozenSet):
		return true, r.decodeSet(from, to)
	case from.kind == kindStr && to.CanAddr():
		if text, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if err := text.UnmarshalText([]byte(from.text())); err != nil {
				return true, conversionError("%v", err)
			}
			return true, nil
		}
	}
	return false, nil
}

// decodeSet reads a set as the keys of a map.
func (r *reading) decodeSet(from *value, to reflect.Value) *ConversionError {
	t, items := to.Type(), from.items()
	result := reflect.MakeMapWithSize(t, len(items))
	for i := range items {
		key := reflect.New(t.Key()).Elem()
		if err := decode(r, &items[i], key); err != nil {
			return err.at(i)
		}
		if !key.Comparable() {
			return conversionError("a Python %s cannot be a key of a Go map", kindName(items[i].kind)).at(i)
		}
		if result.SetMapIndex(key, reflect.Zero(nothingType)); result.Len() != i+1 {
			return conversionError("another item is the same Go %s", t.Key()).at(i)
		}
	}
	to.Set(result)
	return nil
}

func decodeDuration(from *value, to reflect.Value) *ConversionError {
	parts := from.items()
	if from.kind != kindTuple || len(parts) != 3 {
		return mismatch(from, to)
	}
	nanoseconds := new(big.Int)
	for i, unit := range []time.Duration{24 * time.Hour, time.Second, time.Microsecond} {
		if parts[i].kind != kindInt {
			return mismatch(from, to)
		}
		part := new(big.Int).Mul(big.NewInt(int64(parts[i].data)), big.NewInt(int64(unit)))
		nanoseconds.Add(nanoseconds, part)
	}
	if !nanoseconds.IsInt64() {
		return outOfRange(nanoseconds, to)
	}
	to.SetInt(nanoseconds.Int64())
	return nil
}

// timeOf is the time that a value of reflection is.
func timeOf(from reflect.Value) time.Time {
	// Interface would let all arguments of all calls escape to the heap, if it could be seen where its value is from.
	return at[reflect.Value](uintptr(unsafe.Pointer(&from))).Interface().(time.Time)
}
