package subpy

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// structFields are the fields of a struct type that are entries of a Python dict.
type structFields struct {
	list   []structField
	byName map[string]int // position in list
}

type structField struct {
	name      string
	index     []int // for reflect's FieldByIndex
	omitEmpty bool
}

var knownFields sync.Map // reflect.Type to *structFields

func fieldsOf(t reflect.Type) (*structFields, *ConversionError) {
	if known, ok := knownFields.Load(t); ok {
		return known.(*structFields), nil
	}
	fields := &structFields{byName: map[string]int{}}
	twice := map[string]bool{}
	var hidden [][]int // embedded structs whose fields do not count as the outer struct's
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("subpy"), ",")
		embedded := field.Anonymous && structBehind(field.Type) && name == ""
		if field.Anonymous && !embedded {
			hidden = append(hidden, field.Index)
		}
		if embedded || !field.IsExported() || name == "-" || within(field.Index, hidden) {
			continue
		}
		if options != "" && options != "omitempty" {
			return nil, conversionError("%s.%s: unknown option %q in its subpy tag", t, field.Name, options)
		}
		if name == "" {
			name = field.Name
		}
		fields.add(structField{name, field.Index, options == "omitempty"}, twice)
	}
	for name := range twice {
		return nil, conversionError("%s has two fields named %q", t, name)
	}
	if len(fields.list) == 0 && t.NumField() > 0 {
		return nil, conversionError("%s has no exported fields", t)
	}
	knownFields.Store(t, fields)
	return fields, nil
}

// add adds a field. Of several with one name the one that is embedded least deeply counts, as with Go's own names; twice
// has the names for which that is more than one.
func (fields *structFields) add(field structField, twice map[string]bool) {
	at, taken := fields.byName[field.name]
	switch {
	case !taken:
		fields.byName[field.name] = len(fields.list)
		fields.list = append(fields.list, field)
	case len(field.index) < len(fields.list[at].index):
		fields.list[at] = field
		delete(twice, field.name)
	case len(field.index) == len(fields.list[at].index):
		twice[field.name] = true
	}
}

func structBehind(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

func within(index []int, outer [][]int) bool {
	for _, prefix := range outer {
		if len(index) > len(prefix) && slices.Equal(index[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
