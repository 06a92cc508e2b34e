package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// followCancels reads what is to be cancelled, and returns when it knows all that is there.
func (w *Worker) followCancels(ctx context.Context) (jetstream.ConsumeContext, error) {
	fail := func(err error) (jetstream.ConsumeContext, error) {
		return nil, fmt.Errorf("the stream %s: %w", w.queue.CancelsStream(), explain(err, w.o.Replicas))
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
	return follow, nil
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
