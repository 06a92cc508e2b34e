package worker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// What a server never takes is recorded in a shorter form, and does not hold up the worker.
func TestRefusedMessages(t *testing.T) {
	r := newRoom(t, "jobs.py", "def add(a): return a + 1\ndef long(): return 'x' * 3000\n")
	r.start()
	long := strings.Repeat("x", 65_400)
	bad := r.publish(nats.Header{"Own": {long}}, []byte(`{"function": 1}`))
	if result := r.result(bad); result.Error == nil || result.Error.Kind != wire.KindInvalid {
		t.Errorf("%+v", result)
	}
	if letter, ok := r.dead(bad); !ok || letter.Header.Get(wire.HeaderKind) != wire.KindInvalid || letter.Header.Get("Own") != "" {
		t.Errorf("the dead letter: %v", ok)
	}
	good := r.publish(nats.Header{wire.HeaderTracestate: {long}}, []byte(`{"function": "jobs.add", "args": [1]}`))
	if result := r.result(good); result.Error != nil {
		t.Errorf("%+v", result)
	}

	results, err := r.js.Stream(r.ctx, r.queue.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	config := results.CachedInfo().Config
	config.MaxMsgSize = 2000
	if _, err := r.js.UpdateStream(r.ctx, config); err != nil {
		t.Fatal(err)
	}
	if result := r.result(r.submit(call("jobs.long"))); result.Error == nil || result.Error.Kind != wire.KindValue ||
		!strings.Contains(result.Error.Message, "maximum") {
		t.Errorf("%+v", result)
	}
	r.until("all is acknowledged", func() bool { return r.left() == 0 })
}

// A dead letter goes when another worker has ended the job well meanwhile.
func TestNoDeadLetterBesideAGoodResult(t *testing.T) {
	r := newRoom(t, "jobs.py", gated+`
from subpy_worker import current_job
def fail():
    if current_job().deliveries == 2: gate("second")
    raise ValueError("no")
`)
	w := r.start(func(o *worker.Options) { o.RetryDelay = 10 * time.Millisecond })
	key := r.submit(with(call("jobs.fail"), func(c *client.Call) { c.Tries = 2 }))
	r.running(1)
	body, err := (&wire.Result{Key: key, Status: wire.StatusOK, Value: json.RawMessage("1")}).Encode(wire.JSON)
	if err == nil {
		_, err = r.js.Publish(r.ctx, r.queue.Result(key), body)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.open()
	r.until("it is a duplicate", func() bool { return w.Status().Duplicates == 1 })
	if _, ok := r.dead(key); ok || w.Status().Dead != 1 {
		t.Errorf("a dead letter is there: %v, and %d were recorded", ok, w.Status().Dead)
	}
	if result := r.result(key); result.Error != nil {
		t.Errorf("%+v", result)
	}
}

// A reply has the headers of a result and no others, also when the key had its result, or the request is invalid.
func TestReplies(t *testing.T) {
	r := newRoom(t, "jobs.py", "def add(a): return a + 1\n")
	r.start()
	inbox := nats.NewInbox()
	replies, err := r.nc.SubscribeSync(inbox)
	if err != nil || r.nc.Flush() != nil {
		t.Fatal(err)
	}
	const good = `{"function": "jobs.add", "args": [1], "key": "once"}`
	for _, body := range []string{good, good, `{"function": "jobs.add", "argument": 1}`} {
		r.publish(nats.Header{wire.HeaderReply: {inbox}, wire.HeaderTracestate: {"a=b"}}, []byte(body))
		msg, err := replies.NextMsgWithContext(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for name := range msg.Header {
			if name != wire.HeaderContentType && name != wire.HeaderTracestate {
				t.Errorf("the reply to %s has the header %s", body, name)
			}
		}
		if result, err := wire.DecodeResult(wire.JSON, msg.Data); err != nil || (result.Error == nil) != (body == good) {
			t.Errorf("%s: %+v (%v)", body, result, err)
		}
	}
	// The result that was removed is not taken for one.
	results, err := r.js.Stream(r.ctx, r.queue.ResultsStream())
	if err == nil {
		err = results.Purge(r.ctx, jetstream.WithPurgeSubject(r.queue.Result("once")))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.publish(nil, []byte(strings.Replace(good, "[1]", "[5]", 1)))
	if result := r.result("once"); result.Error != nil || string(result.Value.(json.RawMessage)) != "6" {
		t.Errorf("%+v", result)
	}
}
