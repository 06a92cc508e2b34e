// Package client submits jobs to workers, and waits for their results.
package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// A Client submits jobs to one queue.
type Client struct {
	queue wire.Queue
	nc    *nats.Conn
	js    jetstream.JetStream
}

// A Call is a request of a function, with what is optional about it.
type Call struct {
	wire.Request                     // Args and Kwargs may be anything that becomes an array and an object in JSON
	Content      wire.Content        // JSON when it is empty
	Header       map[string][]string // more headers, traceparent for example
}

// New returns a client for a queue, "default" when the name is empty.
func New(nc *nats.Conn, queue string) (*Client, error) {
	if queue == "" {
		queue = wire.DefaultQueue
	}
	if err := wire.Queue(queue).Check(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return &Client{queue: wire.Queue(queue), nc: nc, js: js}, nil
}

// Submit submits a call of a function with positional arguments, and returns its key, with which there is one result. When it fails,
// the job may be there all the same: see SubmitCall.
func (c *Client) Submit(ctx context.Context, function string, args ...any) (key string, err error) {
	call := Call{Request: wire.Request{Function: function}}
	if len(args) > 0 {
		call.Args = args
	}
	return c.SubmitCall(ctx, call)
}

// SubmitCall submits a call. A key is made for one that has none. It is returned with an error as well: the server may have the job
// although its answer was lost, so submit it again under the same key.
func (c *Client) SubmitCall(ctx context.Context, call Call) (key string, err error) {
	if call.Key == "" {
		call.Key = rand.Text()
	}
	if call.Content == "" {
		call.Content = wire.JSON
	}
	body, err := call.Encode(call.Content)
	if err != nil {
		return call.Key, fmt.Errorf("the request: %w", err)
	}
	msg := &nats.Msg{Subject: c.queue.Jobs(), Data: body, Header: nats.Header{}}
	for name, values := range call.Header {
		msg.Header[name] = values
	}
	msg.Header.Set(wire.HeaderMsgID, call.Key)
	msg.Header.Set(wire.HeaderContentType, string(call.Content))
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
			return call.Key, fmt.Errorf("there is no queue %s on this server: start a worker for it, which creates it (%w)", c.queue, err)
		}
		return call.Key, err
	}
	return call.Key, nil
}

const (
	lookEvery = 2 * time.Second // a wait for a result looks this often whether it is there, besides when it is told
	answerIn  = 5 * time.Second // what is asked once, before it is asked again
)

// Result waits for the result of a key. It is one also when the job has failed: see its Error. A server that does not answer is asked
// again until ctx ends.
func (c *Client) Result(ctx context.Context, key string) (*wire.Result, error) {
	if err := wire.CheckKey(key); err != nil {
		return nil, err
	}
	subject := c.queue.Result(key)
	told := make(chan *nats.Msg, 16)
	sub, err := c.nc.ChanSubscribe(subject, told)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	// From here on a new result is told, so now look for one that is there. A connection that breaks ends this wait with
	// ErrConnectionClosed although it comes back: what is wrong for good, the look says.
	_ = once(ctx, c.nc.FlushWithContext)
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	var stream jetstream.Stream
	for {
		// What is told may be a second result, which the stream refuses. The one that counts is the one that it has.
		var there *jetstream.RawStreamMsg
		err := once(ctx, func(ctx context.Context) (err error) {
			if stream == nil {
				if stream, err = c.js.Stream(ctx, c.queue.ResultsStream()); err != nil {
					return fmt.Errorf("the stream %s: %w", c.queue.ResultsStream(), err)
				}
			}
			there, err = stream.GetLastMsgForSubject(ctx, subject)
			return err
		})
		switch {
		case err == nil:
			return decode(there.Header, there.Data)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, nats.ErrNoResponders):
			stream = nil // see whether it is still there
		case !errors.Is(err, jetstream.ErrMsgNotFound) && !passes(err):
			return nil, err
		}
		select {
		case <-ctx.Done():
			if !errors.Is(err, jetstream.ErrMsgNotFound) {
				return nil, fmt.Errorf("%w (when it was last asked: %w)", ctx.Err(), err)
			}
			return nil, ctx.Err()
		case <-told:
		case <-every.C:
		}
	}
}

// once asks the server once, for a limited time, also with a context that has no end.
func once(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	return ask(ctx)
}

// passes tells whether an error is one of a server that starts, or of a cluster that has no leader just now.
func passes(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.As(err, &api) && api.Code == 503 && !errors.Is(err, jetstream.ErrJetStreamNotEnabled) &&
			!errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

func decode(header nats.Header, body []byte) (*wire.Result, error) {
	content, err := wire.ContentOf(header.Get(wire.HeaderContentType))
	if err != nil {
		return nil, err
	}
	return wire.DecodeResult(content, body)
}

// Value waits for the result of a key, and reads its value, in JSON, into what v points to. The error of a job that failed is a
// *wire.Error.
func (c *Client) Value(ctx context.Context, key string, v any) error {
	result, err := c.Result(ctx, key)
	if err != nil {
		return err
	}
	if result.Error != nil {
		return result.Error
	}
	raw, ok := result.Value.(json.RawMessage)
	if !ok {
		return fmt.Errorf("the result of %s is MessagePack: use Result", key)
	}
	return json.Unmarshal(raw, v)
}

// Cancel cancels the jobs of a key that were submitted before.
func (c *Client) Cancel(ctx context.Context, key string) error {
	if err := wire.CheckKey(key); err != nil {
		return err
	}
	_, err := c.js.Publish(ctx, c.queue.Cancel(key), nil)
	return err
}
