package worker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const badJobs = `
import ctypes, os, sys, time
from os import system

path = os.path

def add(a, b=2):
    with open(os.path.join(os.path.dirname(__file__), "runs"), "a") as runs:
        print(a, file=runs)
    return a + b

def loop():
    while True: pass

def stubborn():
    while True:
        try:
            while True: pass
        except BaseException: pass

def blocked(): ctypes.PyDLL(None).sleep(1000)
def abort(): os.abort()
def segfault(): ctypes.string_at(0)
def leave(): os._exit(3)
def sys_exit(): sys.exit("enough")
def interrupted(): raise KeyboardInterrupt
def fail(): raise ValueError("no")
def fail_long(): raise ValueError("x" * 100_000_000)

def eat():
    eaten = []
    while True: eaten.append(bytearray(1 << 20))

def large(): return "x" * 100_000_000
def large_bytes(): return b"x" * 100_000_000
def chatty():
    sys.stdout.write("x" * 10_000_000 + "end")
    return 1
def no_form(): return object()
def not_a_number(): return float("nan")
def itself():
    a = []
    a.append(a)
    return a
def deep():
    a = []
    for _ in range(100_000): a = [a]
    return a
def huge(): return 1 << 64
def surrogate(): return "\ud800"
def raw(): return b"\x00"
def _hidden(): return 1
class Class: pass
`

// A badCase is what may happen to a job, and what comes of it. what and outcome are a row of the table in docs/worker.md.
type badCase struct {
	what, outcome string
	call          client.Call                                   // what is submitted by the client,
	header        nats.Header                                   // or by a message
	body          []byte                                        //
	before        func(*testing.T, *room, *runner) (key string) // or by this
	typ, message  string                                        // of the error, what is in them
	check         func(*testing.T, *room, *wire.Result)
}

func with(c client.Call, change func(*client.Call)) client.Call {
	change(&c)
	return c
}

func packed(c client.Call) client.Call {
	return with(c, func(c *client.Call) { c.Content = wire.MessagePack })
}

func limited(c client.Call) client.Call {
	return with(c, func(c *client.Call) { c.Timeout = 200 * time.Millisecond })
}

func invalid(what, body, message string) badCase {
	return badCase{what: what, outcome: "`invalid`, dead letter", body: []byte(body), message: message}
}

func msgpack(what, body, message string) badCase {
	c := invalid(what, body, message)
	c.header = nats.Header{wire.HeaderContentType: {string(wire.MessagePack)}}
	return c
}

func small(t *testing.T, _ *room, r *wire.Result) {
	if body, err := r.Encode(wire.JSON); err != nil || len(body) > 200_000 {
		t.Errorf("the result is %d bytes long (%v)", len(body), err)
	}
}

var badCases = []badCase{
	{what: "It hangs in Python code", outcome: "`timeout`", call: limited(call("jobs.loop")), message: "200ms"},
	{what: "It hangs and catches every exception", outcome: "`timeout`", call: limited(call("jobs.stubborn")), message: "200ms"},
	{what: "It hangs in C code that keeps the GIL", outcome: "`timeout`", call: limited(call("jobs.blocked")), message: "200ms"},
	{what: "It hangs, and the request has no timeout: the worker's holds", outcome: "`timeout`", before: hangs, message: "250ms"},
	{what: "It aborts", outcome: "`crashed`", call: call("jobs.abort"), message: "6"},
	{what: "It reads from address 0", outcome: "`crashed`", call: call("jobs.segfault"), message: "11"},
	{what: "It ends its process", outcome: "`crashed`", call: call("jobs.leave"), message: "3"},
	{what: "It crashes each of the two times that it may be tried", outcome: "`crashed`, dead letter",
		call: with(call("jobs.abort"), func(c *client.Call) { c.Tries = 2 }), check: func(t *testing.T, _ *room, r *wire.Result) {
			if r.Deliveries != 2 {
				t.Errorf("it was delivered %d times", r.Deliveries)
			}
		}},
	{what: "It is delivered again and again without a result", outcome: "`poison`, dead letter", before: poisoned, message: "delivered"},
	{what: "It exhausts the memory that it may have", outcome: "`exception`", call: call("jobs.eat"), typ: "MemoryError"},
	{what: "It raises an exception", outcome: "`exception`", call: call("jobs.fail"), typ: "ValueError", message: "no", check: hasTraceback},
	{what: "It raises an exception with a message of 100 MB, which is cut", outcome: "`exception`", call: call("jobs.fail_long"),
		typ: "ValueError", message: "xxx...", check: small},
	{what: "It calls `sys.exit()`", outcome: "`exception`", call: call("jobs.sys_exit"), typ: "SystemExit", message: "enough"},
	{what: "It raises KeyboardInterrupt", outcome: "`exception`", call: call("jobs.interrupted"), typ: "KeyboardInterrupt"},
	{what: "It returns a text of 100 MB", outcome: "`value`", call: call("jobs.large"), message: "100000002 bytes of JSON, and the limit is 917504",
		check: small},
	{what: "It returns 100 MB of bytes, in MessagePack", outcome: "`value`", call: packed(call("jobs.large_bytes")), message: "and the limit is 917504",
		check: small},
	{what: "It prints 10 MB, of which the result has the end", outcome: "`ok`", call: call("jobs.chatty"), check: func(t *testing.T, r *room, o *wire.Result) {
		if small(t, r, o); len(o.Stdout) != 16<<10 || !strings.HasSuffix(o.Stdout, "xend") {
			t.Errorf("it has %d bytes of output", len(o.Stdout))
		}
	}},
	{what: "It returns an object", outcome: "`value`", call: call("jobs.no_form"), typ: "TypeError", message: "not JSON serializable"},
	{what: "It returns an object, in MessagePack", outcome: "`value`", call: packed(call("jobs.no_form")), message: "MessagePack"},
	{what: "It returns NaN", outcome: "`value`", call: call("jobs.not_a_number"), typ: "ValueError"},
	{what: "It returns a list that contains itself", outcome: "`value`", call: call("jobs.itself"), typ: "ValueError"},
	{what: "It returns a list that contains itself, in MessagePack", outcome: "`value`", call: packed(call("jobs.itself"))},
	{what: "It returns lists nested 100,000 deep", outcome: "`value`", call: call("jobs.deep"), typ: "RecursionError"},
	{what: "It returns an int of 65 bits", outcome: "`ok`", call: call("jobs.huge"), check: has(`18446744073709551616`)},
	{what: "It returns an int of 65 bits, in MessagePack", outcome: "`value`", call: packed(call("jobs.huge")), message: "64 bits"},
	{what: "It returns half of a surrogate pair", outcome: "`ok`", call: call("jobs.surrogate"), check: has(`"\ud800"`)},
	{what: "It returns bytes", outcome: "`value`", call: call("jobs.raw"), typ: "TypeError"},
	{what: "It has too few arguments", outcome: "`exception`", call: call("jobs.add"), typ: "TypeError", message: "missing 1 required"},
	{what: "Its function does not exist", outcome: "`unknown-function`, dead letter", call: call("jobs.nothing"), message: "jobs.abort, jobs.add"},
	{what: "Its function is in a module that is not served", outcome: "`unknown-function`, dead letter", call: call("os.system", "true")},
	{what: "Its function was imported by a module that is served", outcome: "`unknown-function`, dead letter", call: call("jobs.system", "true")},
	{what: "Its function is an attribute of something else", outcome: "`unknown-function`, dead letter", call: call("jobs.os.system", "true")},
	{what: "Its function begins with an underscore", outcome: "`unknown-function`, dead letter", call: call("jobs._hidden")},
	{what: "Its function is a class", outcome: "`unknown-function`, dead letter", call: call("jobs.Class")},
	{what: "Its deadline has passed when it is submitted", outcome: "`deadline`",
		call: with(call("jobs.add", 1), func(c *client.Call) { c.Deadline = time.Now().Add(-time.Minute) }), check: notBegun},
	{what: "Its deadline passes while it runs", outcome: "`deadline`",
		call: with(call("jobs.loop"), func(c *client.Call) { c.Deadline = time.Now().Add(time.Second) }), message: "deadline"},
	{what: "It was cancelled before it began", outcome: "`cancelled`", before: cancelledBefore, check: notBegun},
	{what: "Its key has been used, and has a result", outcome: "the first result stays", before: usedKey},
	{what: "The worker's clock jumps a day ahead, and the deadline is in an hour", outcome: "`ok`", before: clockJumps(24*time.Hour, time.Hour)},
	{what: "The worker's clock jumps a day back, and the deadline was a minute ago", outcome: "`deadline`",
		before: clockJumps(-24*time.Hour, -time.Minute), check: notBegun},

	invalid("The body is empty", "", "empty"),
	invalid("The body is no JSON", `{"function": jobs.add}`, "at byte 14"),
	invalid("The body ends too early", `{"function": "jobs.add"`, "JSON"),
	invalid("The body has something behind its end", `{"function": "jobs.add"} {}`, "JSON"),
	invalid("The body is no UTF-8", "{\"function\": \"jobs.add\xff\"}", "UTF-8"),
	invalid("The body is no object", `["jobs.add"]`, "array"),
	invalid("The body is null", `null`, "null"),
	invalid("A field has another name", `{"function": "jobs.add", "arguments": [1]}`, `"arguments" is no field`),
	invalid("The name of a field has other capitals", `{"Function": "jobs.add"}`, `"Function" is no field`),
	invalid("`function` is missing", `{"args": [1]}`, "function: is missing"),
	invalid("`function` is no text", `{"function": 1}`, "function: is a JSON number"),
	invalid("`function` has no module", `{"function": "add"}`, "module.function"),
	invalid("`args` is no array", `{"function": "jobs.add", "args": {"a": 1}}`, "args: is a JSON object"),
	invalid("`kwargs` is no object", `{"function": "jobs.add", "kwargs": [1]}`, "kwargs: is a JSON array"),
	invalid("`key` has a character that keys do not have", `{"function": "jobs.add", "key": "a b"}`, "' '"),
	invalid("`key` begins with `seq-`, like those of requests without one", `{"function": "jobs.add", "key": "seq-1"}`, "choose another"),
	invalid("`key` is too long", `{"function": "jobs.add", "key": "`+strings.Repeat("k", 129)+`"}`, "129 bytes"),
	invalid("`timeout` is 0", `{"function": "jobs.add", "timeout": 0}`, "more than 0"),
	invalid("`timeout` is too large a number", `{"function": "jobs.add", "timeout": 1e999}`, "timeout"),
	invalid("`deadline` is no time", `{"function": "jobs.add", "deadline": "tomorrow"}`, "RFC 3339"),
	invalid("`tries` is 0", `{"function": "jobs.add", "tries": 0}`, "1 to 1000"),
	invalid("`tries` is no integer", `{"function": "jobs.add", "tries": 1.5}`, "integer"),
	invalid("Values are nested more than 500 deep", `{"function": "jobs.add", "args": `+strings.Repeat("[", 600)+strings.Repeat("]", 600)+`}`, "500"),
	invalid("An int has more digits than Python reads", `{"function": "jobs.add", "args": [`+strings.Repeat("9", 5000)+`]}`, "4300"),
	{what: "`Content-Type` is another one", outcome: "`invalid`, dead letter", header: nats.Header{wire.HeaderContentType: {"text/plain"}},
		body: []byte(`{"function": "jobs.add"}`), message: "text/plain"},
	{what: "`Subpy-Reply` is a subject of the queue's own", outcome: "`invalid`, dead letter", header: nats.Header{wire.HeaderReply: {"subpy.1.q.jobs"}},
		body: []byte(`{"function": "jobs.add"}`), message: "Subpy-Reply"},
	msgpack("The body is no MessagePack", "\xc1", "0xc1"),
	msgpack("An array in MessagePack says that it has 4,294,967,295 items", "\x82\xa8function\xa8jobs.add\xa4args\xdd\xff\xff\xff\xff", "too early"),
	msgpack("The body is a MessagePack array", "\x90", "array"),
}

func has(value string) func(*testing.T, *room, *wire.Result) {
	return func(t *testing.T, _ *room, r *wire.Result) {
		if raw, _ := r.Value.(json.RawMessage); string(raw) != value {
			t.Errorf("the value is %s, not %s", raw, value)
		}
	}
}

func hasTraceback(t *testing.T, r *room, o *wire.Result) {
	want := "Traceback (most recent call last):\n  File \"" + r.path("jobs.py") + `", line `
	if !strings.HasPrefix(o.Error.Traceback, want) || !strings.HasSuffix(o.Error.Traceback, "\nValueError: no") {
		t.Errorf("the traceback is\n%s", o.Error.Traceback)
	}
}

func notBegun(t *testing.T, r *room, o *wire.Result) {
	if !o.Started.IsZero() || o.Seconds != 0 {
		t.Errorf("it has begun: %+v", o)
	}
}

// poisoned submits a job that has been delivered as often as is allowed, by workers that were lost.
func poisoned(t *testing.T, r *room, w *runner) string {
	w.stopNow(t)
	key := r.submit(call("jobs.add", 1))
	consumer, err := r.js.Consumer(r.ctx, r.queue.JobsStream(), wire.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		msg, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		msg.Nak()
	}
	r.start(jobLimits)
	return key
}

func hangs(t *testing.T, r *room, w *runner) string {
	w.stopNow(t)
	r.start(func(o *worker.Options) { o.Timeout = 250 * time.Millisecond })
	return r.submit(with(call("jobs.loop"), func(c *client.Call) { c.Timeout = time.Hour }))
}

func cancelledBefore(t *testing.T, r *room, w *runner) string {
	w.stopNow(t)
	key := r.submit(call("jobs.add", 1))
	if err := r.client.Cancel(r.ctx, key); err != nil {
		t.Fatal(err)
	}
	r.start(jobLimits)
	return key
}

func usedKey(t *testing.T, r *room, _ *runner) string {
	r.publish(nil, []byte(`{"function": "jobs.add", "args": [10], "key": "once"}`))
	first := r.result("once")
	events, err := r.nc.SubscribeSync(r.queue.Events("once"))
	if err != nil || r.nc.Flush() != nil {
		t.Fatal(err)
	}
	r.publish(nil, []byte(`{"function": "jobs.add", "args": [20], "key": "once"}`))
	for event := (wire.Event{}); event.Event != wire.EventDuplicate; {
		msg, err := events.NextMsgWithContext(r.ctx)
		if err != nil || json.Unmarshal(msg.Data, &event) != nil {
			t.Fatalf("no event says that it is a duplicate: %v", err)
		}
	}
	if second := r.result("once"); !reflect.DeepEqual(first, second) || r.count("runs") != 1 {
		t.Errorf("the result became %+v, after %d runs", second, r.count("runs"))
	}
	return "once"
}

// clockJumps has a worker whose clock jumps after it was started.
func clockJumps(by, deadline time.Duration) func(*testing.T, *room, *runner) string {
	return func(t *testing.T, r *room, w *runner) string {
		w.stopNow(t)
		var jumped atomic.Bool
		r.start(jobLimits, func(o *worker.Options) {
			o.SetWall(func() time.Time {
				if jumped.Load() {
					return time.Now().Add(by)
				}
				return time.Now()
			})
		})
		jumped.Store(true)
		return r.submit(with(call("jobs.add", 1), func(c *client.Call) { c.Deadline = time.Now().Add(deadline) }))
	}
}

func jobLimits(o *worker.Options) {
	o.Timeout, o.Memory, o.MaxDeliver, o.RetryDelay = time.Minute, 256<<20, 2, 10*time.Millisecond
}

func TestOutcomes(t *testing.T) {
	documented, err := os.ReadFile("../../../docs/worker.md")
	if err != nil {
		t.Fatal(err)
	}
	common := newRoom(t, "jobs.py", badJobs)
	common.start(jobLimits)
	for i := range badCases {
		c := &badCases[i]
		t.Run(c.what, func(t *testing.T) {
			row := fmt.Sprintf("| %s | %s |\n", c.what, c.outcome)
			if !strings.Contains(string(documented), row) {
				t.Errorf("docs/worker.md lacks the row\n%s", row)
			}
			r := common
			var key string
			switch {
			case c.before != nil:
				r = newRoom(t, "jobs.py", badJobs)
				key = c.before(t, r, r.start(jobLimits))
			case c.call.Function != "":
				key = r.submit(c.call)
			default:
				key = r.publish(c.header, c.body)
			}
			c.checkOutcome(t, r, key, r.result(key))
			r.until("the request is acknowledged", func() bool { return r.left() == 0 })
		})
	}
}

func (c *badCase) checkOutcome(t *testing.T, r *room, key string, result *wire.Result) {
	dead, isDead := r.dead(key)
	if result.Error == nil {
		if c.outcome != "`ok`" && c.outcome != "the first result stays" || isDead {
			t.Errorf("it is ok: %s", result.Value)
		}
	} else {
		outcome := "`" + result.Error.Kind + "`"
		if isDead {
			outcome += ", dead letter"
			if kind := dead.Header.Get(wire.HeaderKind); kind != result.Error.Kind || dead.Header.Get(wire.HeaderKey) != key ||
				dead.Header.Get(wire.HeaderMessage) == "" {
				t.Errorf("the headers of the dead letter are %v", dead.Header)
			}
			if c.body != nil && string(dead.Data) != string(c.body) {
				t.Errorf("the dead letter is %q", dead.Data)
			}
		}
		if outcome != c.outcome || !strings.Contains(result.Error.Message, c.message) || c.typ != "" && result.Error.Type != c.typ {
			t.Errorf("it is %s: %s", outcome, result.Error)
		}
		if len(result.Error.Message) > 20_000 {
			t.Errorf("its message has %d bytes", len(result.Error.Message))
		}
	}
	if result.Key != key || result.Queue != string(r.queue) || result.Worker == "" || result.Deliveries < 1 || result.Submitted.IsZero() ||
		result.Finished.Before(result.Submitted.Add(-time.Minute)) {
		t.Errorf("the result is %+v", result)
	}
	if c.check != nil {
		c.check(t, r, result)
	}
}
