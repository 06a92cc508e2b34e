package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// A job is a message that was fetched and is not yet acknowledged.
type job struct {
	w          *Worker
	sequence   uint64
	submitted  time.Time
	deliveries int

	header nats.Header
	body   []byte

	lock sync.Mutex
	msg  jetstream.Msg // the last delivery, which is the one to acknowledge

	content wire.Content
	request *wire.Request
	invalid error
	key     string
	chosen  bool   // the key is not made of the sequence
	replyTo string // "" when nobody wants a reply, or the subject is a bad one

	ctx    context.Context
	stop   context.CancelCauseFunc
	untime context.CancelFunc // of its deadline, nil when it has none

	begun atomic.Bool
}

// An outcome is what became of a job.
type outcome struct {
	value          any // a json.RawMessage, or what MessagePack has a form for
	err            *wire.Error
	started        time.Time // zero when it did not begin
	ran            time.Duration
	stdout, stderr string
}

func newJob(w *Worker, msg jetstream.Msg, meta *jetstream.MsgMetadata) *job {
	j := &job{w: w, header: msg.Headers(), body: msg.Data(), msg: msg, sequence: meta.Sequence.Stream, submitted: meta.Timestamp, deliveries: int(meta.NumDelivered)}
	j.ctx, j.stop = context.WithCancelCause(w.jobs)
	return j
}

// again is called when the server has sent the job once more.
func (j *job) again(msg jetstream.Msg) {
	j.lock.Lock()
	defer j.lock.Unlock()
	j.msg = msg
}

func (j *job) message() jetstream.Msg {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.msg
}

func (j *job) handle() {
	defer j.w.drop(j)
	defer func() {
		if j.untime != nil {
			j.untime()
		}
	}()
	j.read()
	if j.chosen || j.deliveries > 1 {
		if there, err := j.findResult(); err != nil {
			j.giveBack(0)
			return
		} else if there != nil {
			j.duplicate(there)
			return
		}
	}
	if err := j.refusal(); err != nil {
		j.finish(&outcome{err: err})
		return
	}
	if err := j.wait(); err != nil {
		j.settle(&outcome{err: j.stopped(err)})
		return
	}
	j.begun.Store(true)
	result := j.run()
	j.begun.Store(false)
	<-j.w.tokens
	j.settle(result)
}

// read reads the request, and has the job be found by its key.
func (j *job) read() {
	header := j.header
	j.content, j.invalid = wire.ContentOf(header.Get(wire.HeaderContentType))
	if j.invalid == nil {
		j.request, j.invalid = wire.DecodeRequest(j.content, j.body)
	} else {
		j.request = &wire.Request{Tries: 1}
	}
	if reply := header.Get(wire.HeaderReply); reply != "" {
		if err := checkReply(reply); err == nil {
			j.replyTo = reply
		} else if j.invalid == nil {
			j.invalid = err
		}
	}
	j.key, j.chosen = wire.KeyOf(j.request.Key, header, j.sequence)
	w := j.w
	w.lock.Lock()
	defer w.lock.Unlock()
	w.byKey[j.key] = append(w.byKey[j.key], j)
	if at, ok := w.cancels[j.key]; ok && j.submitted.Before(at) {
		j.stop(errCancelled)
	}
}

// checkReply keeps requests from publishing where only the worker may.
func checkReply(subject string) error {
	if strings.ContainsAny(subject, "*> \t\r\n") || strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, "subpy.") ||
		strings.HasPrefix(subject, ".") || strings.HasSuffix(subject, ".") || strings.Contains(subject, "..") {
		return fmt.Errorf("%s: %.100q is no subject for results: it may have no *, > or spaces, and not begin with $ or \"subpy.\"; take an inbox",
			wire.HeaderReply, subject)
	}
	return nil
}

// refusal says why a job is not to be run at all, if it is not.
func (j *job) refusal() *wire.Error {
	if j.invalid != nil {
		return &wire.Error{Kind: wire.KindInvalid, Message: j.invalid.Error()}
	}
	if most := j.w.o.MaxDeliver + j.request.Tries - 1; j.deliveries > most {
		return &wire.Error{Kind: wire.KindPoison, Message: fmt.Sprintf(
			"it was delivered %d times without a result, and %d are allowed: its workers may have died of it", j.deliveries-1, most)}
	}
	return nil
}

// wait waits for the job's turn, and returns why it has none.
func (j *job) wait() error {
	if !j.request.Deadline.IsZero() {
		left := j.request.Deadline.Sub(j.w.clock.now())
		if left <= 0 {
			return errDeadline
		}
		j.ctx, j.untime = context.WithTimeoutCause(j.ctx, left, errDeadline)
	}
	if j.ctx.Err() == nil {
		select {
		case j.w.tokens <- struct{}{}:
			if j.ctx.Err() == nil {
				return nil
			}
			<-j.w.tokens
		case <-j.ctx.Done():
		}
	}
	return context.Cause(j.ctx)
}

// stopped is the error of a job that was stopped; nil when it is to be given back.
func (j *job) stopped(cause error) *wire.Error {
	switch {
	case errors.Is(cause, errCancelled):
		return &wire.Error{Kind: wire.KindCancelled, Message: "it was cancelled"}
	case errors.Is(cause, errDeadline):
		return &wire.Error{Kind: wire.KindDeadline, Message: fmt.Sprintf("its deadline %s has passed", j.request.Deadline.Format(time.RFC3339Nano))}
	}
	return nil
}

// settle ends a job that had a turn, or none: it is tried again, given back, or has its result.
func (j *job) settle(o *outcome) {
	switch {
	case o == nil && context.Cause(j.ctx) == nil: // what is broken is not asked as fast as it can answer
		j.giveBack(j.delay())
	case o == nil && !j.w.drains(): // the last request for jobs is still there, and would get it again
		j.giveBack(fetchWait)
	case o == nil || o.err == nil && o.started.IsZero():
		j.giveBack(0)
	case o.err != nil && j.deliveries < j.request.Tries && triedAgain(o.err.Kind) && context.Cause(j.ctx) == nil:
		j.retry(o)
	case o.err != nil && j.deliveries < j.request.Tries && triedAgain(o.err.Kind) && errors.Is(context.Cause(j.ctx), errDraining):
		j.giveBack(0) // it failed by itself just when the worker's time was over
	default:
		j.finish(o)
	}
}

func triedAgain(kind string) bool {
	return kind == wire.KindException || kind == wire.KindTimeout || kind == wire.KindCrashed
}

// isDead tells whether a job that ends like this leaves a dead letter.
func (j *job) isDead(kind string) bool {
	switch kind {
	case wire.KindInvalid, wire.KindUnknownFunction, wire.KindPoison:
		return true
	}
	return triedAgain(kind) && j.request.Tries > 1
}

// delay is the time until the next try: it doubles up to a minute, or is what was asked for if that is more.
func (j *job) delay() time.Duration {
	delay, longest := j.w.o.RetryDelay, max(j.w.o.RetryDelay, longestRetryDelay)
	for try := 1; try < j.deliveries && delay < longest; try++ {
		delay = min(2*delay, longest)
	}
	return delay
}

func (j *job) retry(o *outcome) {
	delay := j.delay()
	j.w.counts.retried.Add(1)
	j.event(wire.EventRetrying, o)
	j.w.log.Info("retrying", "key", j.key, "function", j.request.Function, "kind", o.err.Kind, "message", oneLine(o.err.Message),
		"deliveries", j.deliveries, "delay", delay)
	j.giveBack(delay)
}

// giveBack has the server deliver the job again. When it does not hear of that, it does so after a while.
func (j *job) giveBack(delay time.Duration) {
	j.w.counts.returned.Add(1)
	var err error
	if delay > 0 {
		err = j.message().NakWithDelay(delay)
	} else {
		err = j.message().Nak()
	}
	if err != nil {
		j.w.log.Debug("giving a job back", "key", j.key, "error", err)
	}
}

// duplicate ends a job whose key has a result. Who wants a reply gets that one: a worker may have died between the two.
func (j *job) duplicate(there *jetstream.RawStreamMsg) {
	header := passedOn(there.Header)
	header[wire.HeaderContentType] = []string{there.Header.Get(wire.HeaderContentType)}
	j.reply(header, there.Data)
	j.w.counts.duplicates.Add(1)
	j.event(wire.EventDuplicate, nil)
	j.ack()
}

func (j *job) ack() {
	if err := j.message().Ack(); err != nil {
		j.w.log.Debug("acknowledging a job", "key", j.key, "error", err) // it comes again, and has its result
	}
}
