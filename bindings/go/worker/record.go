package worker

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/internal/leader"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// errEnding: the worker ended before something was recorded.
var errEnding = errors.New("the worker ends")

// persist does something until it succeeds. The error is errEnding, or that of a server which refuses it for good.
func (j *job) persist(what string, do func(context.Context) error) error {
	w, pause := j.w, firstPause
	for {
		ctx, cancel := context.WithTimeout(w.life, attempt)
		err := do(ctx)
		cancel()
		if err == nil || isRefused(err) {
			w.recording.works()
			return err
		}
		if w.jobs.Err() != nil { // its time to end is over
			w.log.Warn(what+" could not be recorded: the job will be delivered again", "key", j.key, "error", err)
			return errEnding
		}
		if pause >= longestPause {
			w.log.Warn(what+" cannot be recorded now", "key", j.key, "error", err)
			w.recording.fails(what + " of a job cannot be recorded: " + oneLine(err.Error()))
		}
		if isLost(err) {
			ctx, cancel := context.WithTimeout(w.jobs, attempt)
			w.restore(ctx)
			cancel()
		}
		select {
		case <-time.After(pause):
		case <-w.jobs.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// isLost tells whether the server may have lost a stream.
func isLost(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// isRefused tells whether a server will never take a message: it is too large, or its headers are.
func isRefused(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrHeadersNotSupported) ||
		errors.As(err, &api) && api.Code == 400 && !isWrongSequence(api)
}

func isWrongSequence(api *jetstream.APIError) bool {
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// putResult records the result, unless there is another one, which it returns.
func (j *job) putResult(body []byte, header nats.Header) (other *jetstream.RawStreamMsg, err error) {
	w := j.w
	msg := &nats.Msg{Subject: w.queue.Result(j.key), Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}, Data: body}
	for name, values := range header {
		msg.Header[name] = values
	}
	err = j.persist("the result", func(ctx context.Context) error {
		_, err := w.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		var api *jetstream.APIError
		if !errors.As(err, &api) || !isWrongSequence(api) {
			return err
		}
		there, err := w.leaderResult(ctx, j.key)
		if err == nil && !bytes.Equal(there.Data, body) { // the same is from an attempt before this one, whose answer was lost
			other = there
		}
		return err
	})
	return other, err
}

// findResult returns the result that the key has, nil when it has none. Any replica says that there is none, and then the job runs, but
// only the leader that there is one: another may lag, and still have one that was removed.
func (j *job) findResult() (there *jetstream.RawStreamMsg, err error) {
	err = j.persist("the result", func(ctx context.Context) (err error) {
		if there, err = j.w.results.GetLastMsgForSubject(ctx, j.w.queue.Result(j.key)); err == nil {
			there, err = j.w.leaderResult(ctx, j.key)
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			there, err = nil, nil
		}
		return err
	})
	return there, err
}

// leaderResult asks the leader of the stream for the result of a key.
func (w *Worker) leaderResult(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	return leader.Last(ctx, w.nc, w.js, w.queue.ResultsStream(), w.queue.Result(key))
}

// publishDead records the dead letter, and returns its sequence, 0 when the server takes none. It leaves out the request's own headers
// when they are too large.
func (j *job) publishDead(o *outcome) (sequence uint64, err error) {
	w := j.w
	own := nats.Header{wire.HeaderKey: {j.key}, wire.HeaderKind: {o.err.Kind}, wire.HeaderMessage: {oneLine(o.err.Message)},
		wire.HeaderDeliveries: {strconv.Itoa(j.deliveries)}}
	all := nats.Header{}
	for name, values := range j.header {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") {
			all[name] = values
		}
	}
	for name, values := range own {
		all[name] = values
	}
	if content := j.header.Get(wire.HeaderContentType); len(content) <= longestContent {
		own[wire.HeaderContentType] = []string{content}
	}
	for _, header := range []nats.Header{all, own} {
		err = j.persist("the dead letter", func(ctx context.Context) error {
			ack, err := w.js.PublishMsg(ctx, &nats.Msg{Subject: w.queue.Dead(j.key), Header: header, Data: j.body}, jetstream.WithRetryAttempts(0))
			if err == nil {
				sequence = ack.Sequence
			}
			return err
		})
		if err == nil {
			w.counts.dead.Add(1)
			return sequence, nil
		}
		if err == errEnding {
			return 0, err
		}
	}
	w.log.Error("the server takes no dead letter for a job", "key", j.key, "error", err)
	return 0, nil
}

// withdrawDead removes a dead letter of a job that another worker has ended well meanwhile.
func (j *job) withdrawDead(sequence uint64) {
	ctx, cancel := context.WithTimeout(j.w.life, attempt)
	defer cancel()
	if err := j.w.dead.DeleteMsg(ctx, sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		j.w.log.Warn("the dead letter of a job that has a good result stays", "key", j.key, "error", err)
	}
}
