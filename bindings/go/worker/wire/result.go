package wire

import (
	"errors"
	"fmt"
	"time"
)

// What became of a job.
const (
	StatusOK    = "ok"
	StatusError = "error"
)

// Kinds of errors.
const (
	KindException       = "exception"
	KindTimeout         = "timeout"
	KindCrashed         = "crashed"
	KindDeadline        = "deadline"
	KindCancelled       = "cancelled"
	KindValue           = "value"
	KindInvalid         = "invalid"
	KindUnknownFunction = "unknown-function"
	KindPoison          = "poison"
)

// A Result is what became of a job.
type Result struct {
	Key, Queue, Function string

	Status string
	Value  any    // of a result in JSON that was decoded a json.RawMessage; nil unless the status is ok
	Error  *Error // nil unless the status is error

	Stdout, Stderr string
	Worker         string
	Deliveries     int

	Submitted, Started, Finished time.Time // Started is zero when it did not begin
	Seconds                      float64
}

// An Error says why a job has no value.
type Error struct {
	Kind      string `json:"kind"`
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
}

func (e *Error) Error() string {
	if e.Type != "" {
		return e.Kind + ": " + e.Type + ": " + e.Message
	}
	return e.Kind + ": " + e.Message
}

// Encode writes a result.
func (r *Result) Encode(content Content) ([]byte, error) {
	fields := []pair{{"key", r.Key}, {"queue", r.Queue}, {"function", r.Function}, {"status", r.Status}}
	switch {
	case r.Error == nil:
		fields = append(fields, pair{"value", r.Value})
	case content == MessagePack:
		fields = append(fields, pair{"error", map[string]string{
			"kind": r.Error.Kind, "type": r.Error.Type, "message": r.Error.Message, "traceback": r.Error.Traceback}})
	default:
		fields = append(fields, pair{"error", r.Error})
	}
	return writeFields(content, append(fields,
		pair{"stdout", r.Stdout}, pair{"stderr", r.Stderr}, pair{"worker", r.Worker}, pair{"deliveries", r.Deliveries},
		pair{"submitted", formatTime(r.Submitted)}, pair{"started", formatTime(r.Started)},
		pair{"finished", formatTime(r.Finished)}, pair{"seconds", r.Seconds}))
}

// Succeeded tells whether the body of a message, whose header Content-Type is given, is the result of a job that has not failed.
func Succeeded(contentType string, body []byte) bool {
	content, err := ContentOf(contentType)
	if err != nil {
		return false
	}
	result, err := DecodeResult(content, body)
	return err == nil && result.Status == StatusOK
}

// DecodeResult reads a result. Fields that it does not know are of a newer worker, and are left out.
func DecodeResult(content Content, body []byte) (*Result, error) {
	fields, err := readFields(content, body)
	if err != nil {
		return nil, err
	}
	r := new(Result)
	for _, name := range sortedNames(fields) {
		if err := r.set(name, fields[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if r.Status != StatusOK && (r.Status != StatusError || r.Error == nil) {
		return nil, errors.New("it is no result: it is neither ok nor an error")
	}
	return r, nil
}

func (r *Result) set(name string, from field) (err error) {
	texts := map[string]*string{"key": &r.Key, "queue": &r.Queue, "function": &r.Function, "status": &r.Status,
		"stdout": &r.Stdout, "stderr": &r.Stderr, "worker": &r.Worker}
	times := map[string]*time.Time{"submitted": &r.Submitted, "started": &r.Started, "finished": &r.Finished}
	switch name {
	case "value":
		r.Value, err = from.any()
	case "error":
		r.Error, err = errorOf(from)
	case "deliveries":
		var n int64
		n, err = from.integer()
		r.Deliveries = int(n)
	case "seconds":
		r.Seconds, err = from.number()
	default:
		if to, ok := texts[name]; ok {
			*to, err = from.text()
		} else if to, ok := times[name]; ok {
			*to, err = timeOf(from)
		}
	}
	return err
}

func timeOf(from field) (time.Time, error) {
	text, err := from.text()
	if err != nil || text == "" {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, text)
}

func errorOf(from field) (*Error, error) {
	fields, err := from.fields()
	if err != nil {
		return nil, err
	}
	e := new(Error)
	for name, to := range map[string]*string{"kind": &e.Kind, "type": &e.Type, "message": &e.Message, "traceback": &e.Traceback} {
		if from, ok := fields[name]; ok {
			if *to, err = from.text(); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return e, nil
}
