package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// startCancels begins to follow what is to be cancelled.
func (w *Worker) startCancels(ctx context.Context) error {
	w.restoring.Lock()
	defer w.restoring.Unlock()
	return w.follows(ctx)
}

func (w *Worker) stopCancels() {
	w.restoring.Lock()
	defer w.restoring.Unlock()
	go w.follow.Stop() // it may wait for a server that does not answer
}

// follows reads what is to be cancelled, and returns when it knows all that is there.
func (w *Worker) follows(ctx context.Context) error {
	fail := func(err error) error {
		return fmt.Errorf("the stream %s: %w", w.queue.CancelsStream(), explain(err, w.o.Replicas))
	}
	var consumer jetstream.Consumer
	err := w.untilAnswered(ctx, func(ctx context.Context) (err error) {
		consumer, err = w.js.OrderedConsumer(ctx, w.queue.CancelsStream(),
			jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true})
		return err
	})
	if err != nil {
		return fail(err)
	}
	known := make(chan struct{})
	var once sync.Once
	follow, err := consumer.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			return
		}
		w.cancel(wire.LastToken(msg.Subject()), meta.Timestamp)
		if meta.NumPending == 0 {
			once.Do(func() { close(known) })
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		w.log.Debug("following cancellations", "error", err)
		w.cancelsFailed.Store(true)
	}))
	if err != nil {
		return fail(err)
	}
	var info *jetstream.StreamInfo
	err = w.untilAnswered(ctx, func(ctx context.Context) (err error) {
		info, err = w.cancelled.Info(ctx)
		return err
	})
	if err == nil && info.State.Msgs > 0 {
		select {
		case <-known:
		case <-time.After(patience):
			err = context.DeadlineExceeded
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		follow.Stop()
		return fail(err)
	}
	w.follow, w.followed = follow, info.Created
	return nil
}

// cancel cancels the jobs of a key that were submitted before a time.
func (w *Worker) cancel(key string, at time.Time) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.cancels[key] = at
	for _, j := range w.byKey[key] {
		if j.submitted.Before(at) {
			j.stop(errCancelled)
		}
	}
}

// forgetCancels drops what the stream has dropped, too.
func (w *Worker) forgetCancels() {
	now := w.clock.now()
	w.lock.Lock()
	defer w.lock.Unlock()
	for key, at := range w.cancels {
		if now.Sub(at) > keepCancels+dedupWindow {
			delete(w.cancels, key)
		}
	}
}
