package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

type jsonField json.RawMessage

func readJSONFields(body []byte) (map[string]field, error) {
	if len(body) == 0 {
		return nil, errors.New("the body is empty")
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8")
	}
	if tooDeep(body) {
		return nil, fmt.Errorf("the body is nested more than %d levels deep", Deepest)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("the body is not JSON: %w, at byte %d", err, syntax.Offset)
		}
		return nil, fmt.Errorf("the body is a JSON %s, and has to be an object", jsonField(body).kind())
	}
	if raw == nil {
		return nil, errors.New("the body is a JSON null, and has to be an object")
	}
	fields := make(map[string]field, len(raw))
	for name, value := range raw {
		fields[name] = jsonField(value)
	}
	return fields, nil
}

// tooDeep tells whether brackets are nested more deeply than allowed.
func tooDeep(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if depth++; depth > Deepest {
				return true
			}
		case ']', '}':
			depth--
		}
	}
	return false
}

func (f jsonField) kind() string {
	switch text := bytes.TrimLeft(f, " \t\r\n"); {
	case len(text) == 0:
		return "nothing"
	case text[0] == '{':
		return "object"
	case text[0] == '[':
		return "array"
	case text[0] == '"':
		return "text"
	case text[0] == 't', text[0] == 'f':
		return "boolean"
	case text[0] == 'n':
		return "null"
	}
	return "number"
}

func (f jsonField) expect(kind string) error {
	if found := f.kind(); found != kind {
		return fmt.Errorf("is a JSON %s, and has to be a %s", found, kind)
	}
	return nil
}

func (f jsonField) text() (text string, err error) {
	if err = f.expect("text"); err == nil {
		err = json.Unmarshal(f, &text)
	}
	return text, err
}

func (f jsonField) number() (n float64, err error) {
	if err = f.expect("number"); err == nil {
		if n, err = strconv.ParseFloat(string(f), 64); err != nil {
			err = fmt.Errorf("%.50s is too large a number", f)
		}
	}
	return n, err
}

func (f jsonField) integer() (n int64, err error) {
	if err = f.expect("number"); err == nil {
		if n, err = strconv.ParseInt(string(f), 10, 64); err != nil {
			err = fmt.Errorf("%.50s is no integer of 64 bits", f)
		}
	}
	return n, err
}

func (f jsonField) array() (any, error) {
	return json.RawMessage(f), f.expect("array")
}

func (f jsonField) object() (any, error) {
	return json.RawMessage(f), f.expect("object")
}

func (f jsonField) any() (any, error) {
	return json.RawMessage(f), nil
}

func sortedNames(fields map[string]field) []string {
	return slices.Sorted(maps.Keys(fields))
}

func (f jsonField) fields() (map[string]field, error) {
	return readJSONFields(f)
}

// appendJSON writes a value: what each result has at once, the rest by package json.
func appendJSON(to []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case string:
		if isPlain(v) {
			return append(append(append(to, '"'), v...), '"'), nil
		}
	case int:
		return strconv.AppendInt(to, int64(v), 10), nil
	case json.RawMessage:
		if len(v) > 0 {
			return append(to, v...), nil
		}
	}
	text := bytes.NewBuffer(to)
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte{'\n'}), err
}

// isPlain tells whether a text is written as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
