package subpy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// String returns the tuple much as Python shows it: (1, "a").
func (t Tuple) String() string {
	return string(appendValue(nil, t, 0))
}

// String returns the dict much as Python shows it: {"a": 1}.
func (d Dict) String() string {
	return string(appendValue(nil, d, 0))
}

func appendValue(text []byte, v any, depth int) []byte {
	const deepest = 50 // a value that contains itself has to end
	if depth > deepest {
		return append(text, "..."...)
	}
	list := func(items []any, open, end string) []byte {
		text = append(text, open...)
		for i, item := range items {
			if i > 0 {
				text = append(text, ", "...)
			}
			text = appendValue(text, item, depth+1)
		}
		return append(text, end...)
	}
	switch v := v.(type) {
	case nil:
		return append(text, "None"...)
	case bool:
		if v {
			return append(text, "True"...)
		}
		return append(text, "False"...)
	case string:
		return strconv.AppendQuote(text, v)
	case []byte:
		return strconv.AppendQuote(append(text, 'b'), string(v))
	case []any:
		return list(v, "[", "]")
	case Tuple:
		if len(v) == 1 {
			return list(v, "(", ",)")
		}
		return list(v, "(", ")")
	case Dict:
		text = append(text, '{')
		for i, pair := range v {
			if i > 0 {
				text = append(text, ", "...)
			}
			text = append(appendValue(text, pair.Key, depth+1), ": "...)
			text = appendValue(text, pair.Value, depth+1)
		}
		return append(text, '}')
	case map[string]any:
		return appendValue(text, sorted(v, strings.Compare), depth)
	case map[any]any:
		return appendValue(text, sorted(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }), depth)
	default:
		return fmt.Append(text, v)
	}
}

// sorted is a map as a Dict with sorted keys.
func sorted[K comparable](from map[K]any, compare func(a, b K) int) Dict {
	dict := make(Dict, 0, len(from))
	for _, key := range slices.SortedFunc(maps.Keys(from), compare) {
		dict = append(dict, Pair{key, from[key]})
	}
	return dict
}
