package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// An attempt to publish may take as long. It is made again until it succeeds, or the worker ends.
const (
	attempt       = 5 * time.Second
	firstPause    = 50 * time.Millisecond
	longestPause  = 2 * time.Second
	roomOfHeaders = 2 << 10
)

// finish records the result, and then acknowledges the job.
func (j *job) finish(o *outcome) {
	w := j.w
	body := j.encode(o)
	status, kind := wire.StatusOK, ""
	if o.err != nil {
		status, kind = wire.StatusError, o.err.Kind
	}
	if kind != "" && j.isDead(kind) {
		if !j.publishDead(o) {
			return
		}
	}
	header := nats.Header{wire.HeaderContentType: {string(j.content)}}
	for _, name := range []string{wire.HeaderTraceparent, wire.HeaderTracestate} {
		if value := j.header.Get(name); value != "" {
			header[name] = []string{value}
		}
	}
	other, ok := j.putResult(body, header)
	if !ok {
		return
	}
	if other != nil {
		j.duplicate(other)
		return
	}
	j.reply(header, body)
	j.ack()
	if status == wire.StatusOK {
		w.counts.done.Add(1)
	} else {
		w.counts.fail(kind)
		w.log.Info("failed", "key", j.key, "function", j.request.Function, "kind", kind, "message", oneLine(o.err.Message),
			"deliveries", j.deliveries)
	}
	j.event(wire.EventFinished, o)
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
	subject := j.header.Get(wire.HeaderReply)
	if subject == "" || j.invalid != nil {
		return
	}
	if err := j.w.nc.PublishMsg(&nats.Msg{Subject: subject, Header: header, Data: body}); err != nil {
		j.w.log.Warn("the result was recorded, and not published to the subject in Subpy-Reply", "key", j.key, "error", err)
	}
}

// putResult records the result, unless there is another one, which it returns. It is not ok when the worker ends before that is known.
func (j *job) putResult(body []byte, header nats.Header) (other *jetstream.RawStreamMsg, ok bool) {
	w := j.w
	subject := w.queue.Result(j.key)
	msg := &nats.Msg{Subject: subject, Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}, Data: body}
	for name, values := range header {
		msg.Header[name] = values
	}
	done := j.persist("the result", func(ctx context.Context) error {
		_, err := w.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence &&
			api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequenceConstant {
			return err
		}
		there, err := w.results.GetLastMsgForSubject(ctx, subject)
		if err == nil && !bytes.Equal(there.Data, body) { // the same is from an attempt before this one, whose answer was lost
			other = there
		}
		return err
	})
	return other, done
}

// persist does something until it succeeds. It is false when the worker ends before.
func (j *job) persist(what string, do func(context.Context) error) bool {
	pause := firstPause
	for {
		ctx, cancel := context.WithTimeout(j.w.life, attempt)
		err := do(ctx)
		cancel()
		if err == nil {
			return true
		}
		if j.w.jobs.Err() != nil { // its time to end is over
			j.w.log.Warn(what+" could not be recorded: the job will be delivered again", "key", j.key, "error", err)
			return false
		}
		if pause >= longestPause {
			j.w.log.Warn(what+" cannot be recorded now", "key", j.key, "error", err)
		}
		select {
		case <-time.After(pause):
		case <-j.w.jobs.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// findResult returns the result that the key has, nil when it has none. It is not ok when the worker ends before that is known.
func (j *job) findResult() (there *jetstream.RawStreamMsg, ok bool) {
	ok = j.persist("the result", func(ctx context.Context) (err error) {
		there, err = j.w.results.GetLastMsgForSubject(ctx, j.w.queue.Result(j.key))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			there, err = nil, nil
		}
		return err
	})
	return there, ok
}

// publishDead records the dead letter.
func (j *job) publishDead(o *outcome) bool {
	w := j.w
	header := nats.Header{}
	for name, values := range j.header {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") {
			header[name] = values
		}
	}
	header[wire.HeaderKey] = []string{j.key}
	header[wire.HeaderKind] = []string{o.err.Kind}
	header[wire.HeaderMessage] = []string{oneLine(o.err.Message)}
	header[wire.HeaderDeliveries] = []string{strconv.Itoa(j.deliveries)}
	msg := &nats.Msg{Subject: w.queue.Dead(j.key), Header: header, Data: j.body}
	ok := j.persist("the dead letter", func(ctx context.Context) error {
		_, err := w.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrHeadersNotSupported) {
			w.log.Error("a dead letter does not fit into a message", "key", j.key, "error", err)
			return nil
		}
		return err
	})
	if ok {
		w.counts.dead.Add(1)
	}
	return ok
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
