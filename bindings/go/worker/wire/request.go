package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A Request asks for a function to be called.
type Request struct {
	Function string // "module.function"

	// Args and Kwargs of a request in JSON that was decoded are each a json.RawMessage, of an array and of an object; of one in
	// MessagePack a []any and a map[string]any. nil stands for none. To encode a request they may be anything of that form.
	Args, Kwargs any

	Key      string        // "" when the request has none
	Timeout  time.Duration // of one try, 0 when the request has none
	Deadline time.Time     // zero when the request has none
	Tries    int           // 1 when the request does not say
}

const (
	mostTries = 1000

	// Deepest is how deeply values may be nested.
	Deepest = 500
)

// DecodeRequest reads a request. With an error comes what could be read: its key, if that is one.
func DecodeRequest(content Content, body []byte) (*Request, error) {
	fields, err := readFields(content, body)
	request := &Request{Tries: 1}
	if key, ok := fields["key"]; ok {
		if failed := request.set("key", key); failed != nil {
			return request, failed
		}
	}
	if err != nil {
		return request, err
	}
	for _, name := range sortedNames(fields) {
		if err := request.set(name, fields[name]); err != nil {
			return request, err
		}
	}
	if request.Function == "" {
		return request, errors.New("function: is missing; it is \"module.function\"")
	}
	return request, nil
}

func (r *Request) set(name string, from field) (err error) {
	switch name {
	case "function":
		r.Function, err = from.text()
		if err == nil && !isFunction(r.Function) {
			err = fmt.Errorf("is %.200q, which is not of the form \"module.function\"", r.Function)
		}
	case "args":
		r.Args, err = from.array()
	case "kwargs":
		r.Kwargs, err = from.object()
	case "key":
		var key string
		if key, err = from.text(); err != nil {
			break
		}
		if err := checkChosenKey(key); err != nil {
			return err
		}
		r.Key = key
	case "timeout":
		r.Timeout, err = timeoutOf(from)
	case "deadline":
		var text string
		if text, err = from.text(); err != nil {
			break
		}
		if r.Deadline, err = time.Parse(time.RFC3339, text); err != nil {
			err = fmt.Errorf("%.100q is no time as in RFC 3339, such as 2026-02-03T04:05:06Z", text)
		}
	case "tries":
		var tries int64
		if tries, err = from.integer(); err == nil && (tries < 1 || tries > mostTries) {
			err = fmt.Errorf("is %d, and has to be 1 to %d", tries, mostTries)
		}
		r.Tries = int(tries)
	default:
		return fmt.Errorf("%.100q is no field of a request", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func timeoutOf(from field) (time.Duration, error) {
	seconds, err := from.number()
	if err != nil {
		return 0, err
	}
	if !(seconds > 0) || math.IsInf(seconds, 0) {
		return 0, fmt.Errorf("is %v, and has to be more than 0 seconds", seconds)
	}
	if seconds > math.MaxInt64/float64(time.Second)/2 {
		return 0, fmt.Errorf("is %v, which is longer than 146 years", seconds)
	}
	return max(time.Duration(seconds*float64(time.Second)), 1), nil
}

// isFunction tells whether a text has the form of names with dots between them.
func isFunction(text string) bool {
	module, function, ok := cutLast(text)
	return ok && module != "" && function != "" && !strings.ContainsAny(text, " \t\r\n\x00:/\\")
}

func cutLast(text string) (before, after string, found bool) {
	if at := strings.LastIndexByte(text, '.'); at >= 0 {
		return text[:at], text[at+1:], true
	}
	return text, "", false
}

// Encode writes a request.
func (r *Request) Encode(content Content) ([]byte, error) {
	fields := []pair{{"function", r.Function}}
	if r.Args != nil {
		fields = append(fields, pair{"args", r.Args})
	}
	if r.Kwargs != nil {
		fields = append(fields, pair{"kwargs", r.Kwargs})
	}
	if r.Key != "" {
		if err := checkChosenKey(r.Key); err != nil {
			return nil, err
		}
		fields = append(fields, pair{"key", r.Key})
	}
	if r.Timeout > 0 {
		fields = append(fields, pair{"timeout", r.Timeout.Seconds()})
	}
	if !r.Deadline.IsZero() {
		fields = append(fields, pair{"deadline", formatTime(r.Deadline)})
	}
	if r.Tries > 1 {
		fields = append(fields, pair{"tries", r.Tries})
	}
	return writeFields(content, fields)
}

// A field is the value of a field of a request or a result, not yet read.
type field interface {
	text() (string, error)
	number() (float64, error)
	integer() (int64, error)
	array() (any, error)
	object() (any, error)
	any() (any, error)
	fields() (map[string]field, error)
}

func readFields(content Content, body []byte) (map[string]field, error) {
	if content == MessagePack {
		return readMessagePackFields(body)
	}
	return readJSONFields(body)
}

// A pair is a field that is written.
type pair struct {
	name  string
	value any
}

func writeFields(content Content, fields []pair) ([]byte, error) {
	if content == MessagePack {
		return writeMessagePackFields(fields)
	}
	to := make([]byte, 0, 512)
	var err error
	for i, f := range fields {
		if i == 0 {
			to = append(to, '{')
		} else {
			to = append(to, ',')
		}
		to = append(append(append(to, '"'), f.name...), '"', ':')
		if to, err = appendJSON(to, f.value); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return append(to, '}'), nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
