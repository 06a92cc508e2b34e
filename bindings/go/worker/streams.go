package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	dedupWindow = 2 * time.Minute
	keepCancels = time.Hour
	mostPending = 100_000 // jobs that all workers together may hold
	mostWaiting = 10_000  // requests of workers for more

	patience = time.Minute     // with a cluster that has no leader just now
	answerIn = 3 * time.Second // what is asked once, before it is asked again
	askAgain = time.Second

	noPeers = 10005 // no suitable peers for placement
)

// untilAnswered asks the server something until it answers: a cluster whose leader has died, or has only begun, does not for some seconds.
func (w *Worker) untilAnswered(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, answerIn)
		err := ask(once)
		done()
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		w.log.Warn("the server does not answer, and is asked again", "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askAgain):
		}
	}
}

// passes tells whether an error is one of a server that starts, or of a cluster that has no leader yet.
func passes(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrConsumerNotFound) || // of one that was just created
		errors.As(err, &api) && api.ErrorCode == noPeers || // of a cluster whose servers have not all begun
		errors.As(err, &api) && api.Code == 503 && !errors.Is(err, jetstream.ErrJetStreamNotEnabled) &&
			!errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// What a worker uses of its queue.
type streams struct {
	results, dead, cancelled jetstream.Stream
	consumer                 jetstream.Consumer
}

// openStreams finds the streams and the consumer of the queue, and creates what does not exist yet.
func (w *Worker) openStreams(ctx context.Context) (s streams, err error) {
	q := w.queue
	jobs := jetstream.StreamConfig{Name: q.JobsStream(), Subjects: []string{q.Jobs()}, Retention: jetstream.WorkQueuePolicy,
		Duplicates: dedupWindow, Description: "Requests of the queue " + string(q)}
	results := jetstream.StreamConfig{Name: q.ResultsStream(), Subjects: []string{q.Result("*")}, MaxMsgsPerSubject: 1,
		MaxAge: w.o.KeepResults, AllowDirect: true, Description: "Results of the queue " + string(q)}
	dead := jetstream.StreamConfig{Name: q.DeadStream(), Subjects: []string{q.Dead("*")}, MaxMsgsPerSubject: 1, AllowDirect: true,
		Description: "Dead letters of the queue " + string(q)}
	cancels := jetstream.StreamConfig{Name: q.CancelsStream(), Subjects: []string{q.Cancel("*")}, MaxMsgsPerSubject: 1,
		MaxAge: keepCancels, Description: "Cancellations of the queue " + string(q)}
	var other jetstream.Stream
	for _, stream := range []struct {
		config jetstream.StreamConfig
		to     *jetstream.Stream
	}{{jobs, &other}, {results, &s.results}, {dead, &s.dead}, {cancels, &s.cancelled}} {
		if *stream.to, err = w.openStream(ctx, stream.config); err != nil {
			return s, err
		}
	}
	s.consumer, err = w.openConsumer(ctx)
	return s, err
}

// restore creates what the server has lost, and follows a new stream of cancellations. While it does, others go on.
func (w *Worker) restore(ctx context.Context) {
	if !w.restoring.TryLock() {
		return
	}
	defer w.restoring.Unlock()
	s, err := w.openStreams(ctx)
	if err == nil && w.follow != nil && !s.cancelled.CachedInfo().Created.Equal(w.followed) {
		old := w.follow
		if err = w.follows(ctx); err == nil {
			go old.Stop()
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("the streams", "error", err)
	}
}

func (w *Worker) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	config.Storage, config.Replicas = jetstream.FileStorage, w.o.Replicas
	var stream jetstream.Stream
	err := w.untilAnswered(ctx, func(ctx context.Context) (err error) {
		stream, err = w.js.Stream(ctx, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = w.js.CreateStream(ctx, config)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another worker has created it meanwhile, with other options
				stream, err = w.js.Stream(ctx, config.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the stream %s: %w", config.Name, explain(err, w.o.Replicas))
	}
	if has := stream.CachedInfo().Config; has.Replicas != config.Replicas || has.MaxAge != config.MaxAge {
		w.log.Warn("the stream is there with other options, which stay: change them with `nats stream edit`", "stream", config.Name,
			"replicas", has.Replicas, "keep", has.MaxAge)
	}
	return stream, nil
}

func (w *Worker) openConsumer(ctx context.Context) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{Durable: wire.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.o.AckWait,
		MaxDeliver: -1, MaxAckPending: mostPending, MaxWaiting: mostWaiting}
	var consumer jetstream.Consumer
	err := w.untilAnswered(ctx, func(ctx context.Context) (err error) {
		consumer, err = w.js.Consumer(ctx, w.queue.JobsStream(), wire.Consumer)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			consumer, err = w.js.CreateConsumer(ctx, w.queue.JobsStream(), config)
			if errors.Is(err, jetstream.ErrConsumerExists) {
				consumer, err = w.js.Consumer(ctx, w.queue.JobsStream(), wire.Consumer)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the consumer %s of %s: %w", wire.Consumer, w.queue.JobsStream(), explain(err, w.o.Replicas))
	}
	has := consumer.CachedInfo().Config
	if has.AckPolicy != jetstream.AckExplicitPolicy || has.MaxDeliver > 0 || has.AckWait < 3*time.Millisecond {
		return nil, fmt.Errorf("the consumer %s of %s is not one for workers: remove it with `nats consumer rm`, and it is created anew",
			wire.Consumer, w.queue.JobsStream())
	}
	if has.AckWait != w.o.AckWait {
		w.log.Warn("the consumer is there with another wait for acknowledgements, which stays: change it with `nats consumer edit` "+
			"while no worker runs", "consumer", wire.Consumer, "ack-wait", has.AckWait)
	}
	return consumer, nil
}

// explain says what to do about errors of JetStream.
func explain(err error, replicas int) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: start nats-server with -js, or enable JetStream for the account", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the server did not answer within %v: is JetStream enabled there (nats-server -js), and has its cluster a leader? (%w)",
			patience, err)
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("no JetStream answers there: start nats-server with -js, or enable JetStream for the account (%w)", err)
	case errors.As(err, &api) && api.ErrorCode == noPeers, errors.As(err, &api) && api.ErrorCode == 10074:
		return fmt.Errorf("%w: %d replicas need as many servers in the cluster", err, replicas)
	}
	return err
}
