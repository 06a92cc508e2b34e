package wire

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestRequestBothWays(t *testing.T) {
	deadline := time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)
	for _, c := range []struct {
		content      Content
		args, kwargs any
	}{
		{JSON, json.RawMessage(`[1,"<é>"]`), json.RawMessage(`{"a":null}`)},
		{MessagePack, []any{int64(1), "<é>", []byte{0, 255}, 1.5, true}, map[string]any{"a": nil, "b": map[any]any{int64(1): "x"}}},
	} {
		request := &Request{Function: "jobs.add", Args: c.args, Kwargs: c.kwargs, Key: "a-_=9", Timeout: 1500 * time.Millisecond,
			Deadline: deadline, Tries: 3}
		body, err := request.Encode(c.content)
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodeRequest(c.content, body)
		if err != nil || !reflect.DeepEqual(read, request) {
			t.Errorf("%s: %q became %+v (%v), not %+v", c.content, body, read, err, request)
		}
	}
}

func TestResultBothWays(t *testing.T) {
	when := time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)
	for _, c := range []struct {
		content Content
		result  Result
	}{
		{JSON, Result{Key: "k", Queue: "q", Function: "m.f", Status: StatusOK, Value: json.RawMessage(`{"a":[1e400,"\ud800"]}`), Stdout: "é\x00",
			Worker: "w", Deliveries: 2, Submitted: when, Started: when, Finished: when, Seconds: 0.25}},
		{MessagePack, Result{Key: "k", Queue: "q", Function: "m.f", Status: StatusOK, Value: []any{[]byte{1}, nil}, Finished: when}},
		{JSON, Result{Key: "k", Status: StatusError, Error: &Error{Kind: KindCrashed, Message: "m"}, Finished: when}},
		{MessagePack, Result{Key: "k", Status: StatusError, Error: &Error{KindException, "ValueError", "m", "t"}, Finished: when}},
	} {
		body, err := c.result.Encode(c.content)
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodeResult(c.content, body)
		if err != nil || !reflect.DeepEqual(*read, c.result) {
			t.Errorf("%s: %q became %+v (%v), not %+v", c.content, body, read, err, c.result)
		}
	}
}
