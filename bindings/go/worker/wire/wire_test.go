package wire

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
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

func TestAnEventIsWhatPackageJSONMakesOfIt(t *testing.T) {
	when := time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)
	for _, e := range []Event{
		{Event: EventStarted, Key: "k", Function: "m.f", Worker: "w", Time: when, Deliveries: 1},
		{Event: EventFinished, Key: "k", Function: "m.é", Worker: "w", Time: when, Deliveries: 2, Status: StatusError, Kind: KindException,
			Message: "a \"b\" \\ \n <c>\u2028\x7f", Seconds: 0.00000125, Waited: 3},
	} {
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var read Event
		if err := json.Unmarshal(body, &read); err != nil || !reflect.DeepEqual(read, e) {
			t.Errorf("%s became %+v (%v), not %+v", body, read, err, e)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, body := range []string{"", "{}", `{"function":"a.b","args":[1],"kwargs":{"x":[{}]},"tries":2,"timeout":0.5,"deadline":"2026-01-01T00:00:00Z","key":"k"}`,
		"\x81\xa8function\xa3a.b", "\x82\xa8function\xa3a.b\xa4args\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", strings.Repeat("[", 100_000),
		strings.Repeat("\x91", 100_000), strings.Repeat("\xdd\x00\x00\xff\xff", 400) + strings.Repeat("\xc0", 1<<17),
		strings.Repeat("\xdf\x00\x00\x7f\xff\xa1k", 400) + strings.Repeat("\xc0", 1<<17), `{"function":"a.b","args":"` + strings.Repeat("x", 1<<20) + `"}`} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		content := JSON
		if packed {
			content = MessagePack
		}
		request, err := DecodeRequest(content, body)
		if request == nil {
			t.Fatal("there is no request")
		}
		if request.Key != "" && CheckKey(request.Key) != nil {
			t.Fatalf("its key is %q", request.Key)
		}
		if err != nil {
			return
		}
		again, err := request.Encode(content)
		if err != nil {
			t.Fatalf("%+v is not written: %v", request, err)
		}
		if _, err := DecodeRequest(content, again); err != nil {
			t.Fatalf("%q became %q, which is no request: %v", body, again, err)
		}
	})
}

// Each of 400 levels says that it has as many items as there are bytes left.
func TestNestedClaimsTakeNoMemory(t *testing.T) {
	for what, level := range map[string]string{"arrays": "\xdd\x00\x0f\x00\x00", "maps": "\xdf\x00\x07\x00\x00\xa1k", "maps without texts": "\xdf\x00\x07\x00\x00\x01\x01\x01"} {
		body := []byte("\x82\xa8function\xa3a.b\xa4args" + strings.Repeat(level, 400) + strings.Repeat("\xc0", 1<<20))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		DecodeRequest(MessagePack, body)
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 512<<20 {
			t.Errorf("%s: %d MB for a message of one", what, taken>>20)
		}
	}
}

func TestContent(t *testing.T) {
	for header, want := range map[string]Content{"": JSON, "application/json": JSON, "Application/JSON; charset=utf-8": JSON,
		"application/msgpack": MessagePack, "application/x-msgpack": MessagePack, "text/plain": "", "/": ""} {
		content, err := ContentOf(header)
		if (err == nil) != (want != "") || err == nil && content != want {
			t.Errorf("%q is %q (%v)", header, content, err)
		}
	}
}

func TestNames(t *testing.T) {
	q := Queue("a-b_1")
	if q.Check() != nil || q.Jobs() != "subpy.1.a-b_1.jobs" || q.Result("k") != "subpy.1.a-b_1.results.k" || q.JobsStream() != "subpy-a-b_1-jobs" {
		t.Errorf("the names of %s", q)
	}
	for _, name := range []string{"", "a.b", "a b", "*", "é", strings.Repeat("a", 65)} {
		if Queue(name).Check() == nil {
			t.Errorf("%q is a queue", name)
		}
	}
	if found, ok := QueueOfStream(q.JobsStream()); found != q || !ok {
		t.Errorf("the queue of %s is %s", q.JobsStream(), found)
	}
	for _, stream := range []string{"subpy-a-results", "other-a-jobs", "subpy--jobs"} {
		if found, ok := QueueOfStream(stream); ok {
			t.Errorf("%s is of the queue %s", stream, found)
		}
	}
	header := map[string][]string{HeaderMsgID: {"m"}, HeaderKey: {"k"}}
	for want, c := range map[string]struct {
		inRequest string
		header    map[string][]string
	}{"r": {"r", header}, "k": {"", header}, "m": {"", map[string][]string{HeaderMsgID: {"m"}, HeaderKey: {"no key"}}}, "seq-7": {"", nil},
		"seq-8": {"", map[string][]string{HeaderKey: {"seq-8"}}}} {
		if key, chosen := KeyOf(c.inRequest, c.header, 7); key != want || chosen != (want != "seq-7") {
			t.Errorf("the key is %s, not %s", key, want)
		}
	}
	if key, chosen := KeyOf("", map[string][]string{HeaderMsgID: {"seq-8"}}, 7); key != "seq-7" || chosen {
		t.Errorf("the key is %s", key)
	}
	if _, err := DecodeRequest(JSON, []byte(`{"function": "a.b", "key": "seq-8"}`)); err == nil {
		t.Error("the key of another request is taken")
	}
}
