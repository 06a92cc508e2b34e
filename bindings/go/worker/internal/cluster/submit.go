package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	queue     = "demo"
	twice     = 100  // one key of so many is submitted twice
	mostAhead = 1000 // jobs that are submitted and have no result, unless there is a rate
	mostOnWay = 256  // messages that are published and not yet acknowledged
)

// A submitter publishes all jobs, and each again until the servers have acknowledged it.
type submitter struct {
	js   jetstream.JetStream
	jobs *jobs
	rate float64       // jobs a second, 0 for as many as are done
	done *atomic.Int64 // results that there are
	last func() bool   // whether the last tenth may be submitted

	submitted atomic.Int64 // jobs that are acknowledged
	doubled   atomic.Int64 // of keys that were submitted already
	again     atomic.Int64 // messages that had to be published again, their acknowledgement lost
	dropped   atomic.Int64 // of these, those that the servers had already
}

type sent struct {
	number int
	second bool
	msg    *nats.Msg
	future jetstream.PubAckFuture
}

func (s *submitter) run(ctx context.Context) error {
	random := rand.New(rand.NewPCG(s.jobs.seed, 1<<40))
	onTheirWay := make(chan sent, mostOnWay)
	failed := make(chan error, 1)
	go func() {
		failed <- s.confirm(ctx, onTheirWay)
	}()
	start := time.Now()
	for number := range s.jobs.count {
		if s.rate > 0 {
			wait(ctx, time.Until(start.Add(time.Duration(float64(number)/s.rate*float64(time.Second)))))
		}
		for s.rate == 0 && ctx.Err() == nil && int64(number) > s.done.Load()+mostAhead {
			wait(ctx, 50*time.Millisecond)
		}
		for number >= s.jobs.count*9/10 && ctx.Err() == nil && !s.last() {
			wait(ctx, 50*time.Millisecond)
		}
		if err := s.publish(ctx, number, false, onTheirWay); err != nil {
			return err
		}
		if random.IntN(twice) == 0 {
			if err := s.publish(ctx, random.IntN(number+1), true, onTheirWay); err != nil {
				return err
			}
		}
	}
	close(onTheirWay)
	return <-failed
}

func (s *submitter) publish(ctx context.Context, number int, second bool, to chan<- sent) error {
	j := s.jobs.job(number)
	body, err := j.request.Encode(j.content)
	if err != nil {
		return err
	}
	msg := nats.NewMsg(wire.Queue(queue).Jobs())
	msg.Data = body
	msg.Header.Set(wire.HeaderContentType, string(j.content))
	if !second {
		msg.Header.Set(wire.HeaderMsgID, j.request.Key)
	}
	future, err := s.js.PublishMsgAsync(msg)
	if err != nil {
		future = nil // too many wait, or there is no connection: confirm publishes it again
	}
	select {
	case to <- sent{number, second, msg, future}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// confirm waits for acknowledgements, and publishes again what has none.
func (s *submitter) confirm(ctx context.Context, from <-chan sent) error {
	for m := range from {
		acknowledged, err := false, error(nil)
		if m.future != nil {
			select {
			case <-m.future.Ok():
				acknowledged = true
			case <-m.future.Err():
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for !acknowledged {
			s.again.Add(1)
			var ack *jetstream.PubAck
			once, cancel := context.WithTimeout(ctx, 2*time.Second)
			ack, err = s.js.PublishMsg(once, m.msg)
			cancel()
			if acknowledged = err == nil; acknowledged && ack.Duplicate {
				s.dropped.Add(1)
			}
			if ctx.Err() != nil {
				return fmt.Errorf("the job %d was not taken: %w", m.number, err)
			}
			if !acknowledged {
				wait(ctx, 100*time.Millisecond)
			}
		}
		if m.second {
			s.doubled.Add(1)
		} else {
			s.submitted.Add(1)
		}
	}
	return nil
}

func wait(ctx context.Context, duration time.Duration) {
	if duration <= 0 {
		return
	}
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}
