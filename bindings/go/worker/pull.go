package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A request for jobs waits as long for them. A worker that ends waits for its last one.
const fetchWait = time.Second

// pull fetches as many jobs as there are free slots, again and again.
func (w *Worker) pull(ctx context.Context) {
	for w.takeSlots(ctx) {
		free := 1
	more:
		for free < cap(w.slots) {
			select {
			case w.slots <- struct{}{}:
				free++
			default:
				break more
			}
		}
		w.interpreters.wait(ctx)
		fetched, err := w.fetch(ctx, free)
		for range free - fetched {
			<-w.slots
		}
		if err != nil && ctx.Err() == nil {
			w.log.Warn("no jobs can be fetched now", "error", err)
			w.recover(ctx, err)
		}
	}
}

func (w *Worker) takeSlots(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case w.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *Worker) fetch(ctx context.Context, free int) (fetched int, err error) {
	if ctx.Err() != nil {
		return 0, nil
	}
	batch, err := w.consumer.Fetch(free, jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return 0, err
	}
	var late []jetstream.Msg
	for msg := range batch.Messages() {
		if ctx.Err() != nil {
			late = append(late, msg) // given back at once, it would be delivered to this request again
		} else if w.take(msg) {
			fetched++
		}
	}
	for _, msg := range late {
		msg.Nak()
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) {
		return fetched, err
	}
	return fetched, nil
}

// recover waits before the next request, and creates what the server has lost.
func (w *Worker) recover(ctx context.Context, err error) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(200 * time.Millisecond):
	}
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, nats.ErrNoResponders) {
		w.restore(ctx)
	}
}

// take begins a job. It is false when the job is here already: the server has sent it again, because it did not hear of it in time.
func (w *Worker) take(msg jetstream.Msg) bool {
	meta, err := msg.Metadata()
	if err != nil {
		w.log.Error("a message that is no job", "error", err)
		return false
	}
	j := newJob(w, msg, meta)
	w.lock.Lock()
	defer w.lock.Unlock()
	if here, ok := w.held[j.sequence]; ok {
		here.again(msg)
		return false
	}
	w.held[j.sequence] = j
	w.running.Add(1)
	w.begin <- j
	return true
}

// drop is called when a job is no longer here.
func (w *Worker) drop(j *job) {
	w.lock.Lock()
	delete(w.held, j.sequence)
	if all := w.byKey[j.key]; len(all) == 1 {
		delete(w.byKey, j.key)
	} else {
		for i, other := range all {
			if other == j {
				w.byKey[j.key] = append(all[:i:i], all[i+1:]...)
			}
		}
	}
	w.lock.Unlock()
	j.stop(nil)
	<-w.slots
}

// keepAlive tells the server thrice in the time that it waits for an acknowledgement that the jobs are here.
func (w *Worker) keepAlive() {
	every := time.NewTicker(w.ackWait / 3)
	defer every.Stop()
	for {
		select {
		case <-w.life.Done():
			return
		case <-every.C:
		}
		w.lock.Lock()
		messages := make([]jetstream.Msg, 0, len(w.held))
		for _, j := range w.held {
			messages = append(messages, j.message())
		}
		w.lock.Unlock()
		for _, msg := range messages {
			msg.InProgress() // an error is that of a connection which comes back
		}
	}
}
