package worker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// An attempt to publish may take as long. It is made again until it succeeds, or the worker ends.
const (
	attempt       = 5 * time.Second
	firstPause    = 50 * time.Millisecond
	longestPause  = 2 * time.Second
	roomOfHeaders = 2 << 10 // of a result

	longestTraceparent = 55
	longestTracestate  = 512
	longestContent     = 100
)

// finish records the result, and then acknowledges the job.
func (j *job) finish(o *outcome) {
	w := j.w
	body := j.encode(o)
	var letter uint64
	if o.err != nil && j.isDead(o.err.Kind) {
		var err error
		if letter, err = j.publishDead(o); err != nil {
			return
		}
	}
	header := passedOn(j.header)
	header[wire.HeaderContentType] = []string{string(j.content)}
	other, err := j.putResult(body, header)
	if err != nil && err != errEnding {
		w.log.Error("the server refuses a result, and gets a short one", "key", j.key, "error", err)
		o.shorten(err)
		body, header = j.encode(o), nats.Header{wire.HeaderContentType: {string(j.content)}}
		other, err = j.putResult(body, header)
	}
	switch {
	case err == errEnding:
		return
	case err != nil:
		w.log.Error("the server refuses each result of a job, which is given back", "key", j.key, "error", err)
		j.giveBack(j.delay())
		return
	case other != nil:
		if letter > 0 && wire.Succeeded(other.Header.Get(wire.HeaderContentType), other.Data) {
			j.withdrawDead(letter)
		}
		j.duplicate(other)
		return
	}
	j.reply(header, body)
	j.ack()
	if o.err == nil {
		w.counts.done.Add(1)
	} else {
		w.counts.fail(o.err.Kind)
		w.log.Info("failed", "key", j.key, "function", j.request.Function, "kind", o.err.Kind, "message", oneLine(o.err.Message),
			"deliveries", j.deliveries)
	}
	j.event(wire.EventFinished, o)
}

// passedOn is what a result has of the headers of a request: its trace context, unless it is longer than one is.
func passedOn(from nats.Header) nats.Header {
	header := nats.Header{}
	for name, longest := range map[string]int{wire.HeaderTraceparent: longestTraceparent, wire.HeaderTracestate: longestTracestate} {
		if value := from.Get(name); value != "" && len(value) <= longest {
			header[name] = []string{value}
		}
	}
	return header
}

// shorten makes the least of an outcome that a server has refused to record.
func (o *outcome) shorten(why error) {
	if o.err == nil {
		o.err = &wire.Error{Kind: wire.KindValue, Message: "the server does not take the result: " + oneLine(why.Error())}
	}
	o.err.Type, o.err.Message, o.err.Traceback = firstOf(o.err.Type, 100), oneLine(o.err.Message), ""
	o.stdout, o.stderr = "", ""
}

// encode writes the result. A value that is too large or has no form is an error instead.
func (j *job) encode(o *outcome) []byte {
	w := j.w
	result := &wire.Result{Key: j.key, Queue: string(w.queue), Function: firstOf(j.request.Function, 500), Status: wire.StatusOK,
		Value: o.value, Stdout: o.stdout, Stderr: o.stderr, Worker: w.o.Name, Deliveries: j.deliveries, Submitted: j.submitted,
		Started: o.started, Finished: w.clock.now(), Seconds: o.ran.Seconds()}
	fail := func(message string) {
		o.err = &wire.Error{Kind: wire.KindValue, Message: message}
	}
	for {
		if o.err != nil {
			o.value, result.Value = nil, nil
			result.Status, result.Error = wire.StatusError, o.err
		}
		body, err := result.Encode(j.content)
		if err != nil {
			fail("the value has no form in " + string(j.content) + ": " + err.Error())
			continue
		}
		rest := len(result.Stdout) + len(result.Stderr) + roomOfHeaders
		if o.err == nil && j.content == wire.MessagePack && len(body)-rest > w.maxResult {
			fail(fmt.Sprintf("the value is %d bytes of MessagePack, and the limit is %d", len(body)-rest, w.maxResult))
			continue
		}
		most := int(w.nc.MaxPayload()) - roomOfHeaders
		if len(body) <= most {
			return body
		}
		switch { // what the server takes is less than usual, or became less
		case len(result.Stdout)+len(result.Stderr) > most/8:
			result.Stdout, result.Stderr = lastOf(result.Stdout, most/100), lastOf(result.Stderr, most/100)
		case o.err == nil:
			fail(fmt.Sprintf("the result is %d bytes long, and the server takes %d", len(body), most))
		default:
			o.err.Message, o.err.Traceback = firstOf(o.err.Message, most/100), middleOut(o.err.Traceback, most/100)
			result.Function = firstOf(result.Function, 100)
			if len(o.err.Traceback) < 100 && len(o.err.Message) < 100 {
				return body
			}
		}
	}
}

// reply publishes the result where the request says, too.
func (j *job) reply(header nats.Header, body []byte) {
	if j.replyTo == "" {
		return
	}
	if err := j.w.nc.PublishMsg(&nats.Msg{Subject: j.replyTo, Header: header, Data: body}); err != nil {
		j.w.log.Warn("the result was recorded, and not published to the subject in Subpy-Reply", "key", j.key, "error", err)
	}
}

// event tells whoever listens what happens to the job.
func (j *job) event(name string, o *outcome) {
	e := wire.Event{Event: name, Key: j.key, Function: firstOf(j.request.Function, 500), Worker: j.w.o.Name, Time: j.w.clock.now().UTC(),
		Deliveries: j.deliveries}
	if o != nil {
		e.Status, e.Seconds = wire.StatusOK, o.ran.Seconds()
		if o.err != nil {
			e.Status, e.Kind, e.Message = wire.StatusError, o.err.Kind, oneLine(o.err.Message)
		}
		if !o.started.IsZero() {
			e.Waited = max(o.started.Sub(j.submitted).Seconds(), 0)
		}
	}
	body, err := e.Encode()
	if err == nil {
		err = j.w.nc.Publish(j.w.queue.Events(j.key), body)
	}
	if err != nil {
		j.w.log.Debug("an event", "key", j.key, "error", err)
	}
}
