package page

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	unseen     = time.Minute     // after which a page that nobody looks at listens to less
	fewWorkers = 64              // up to which it listens to them all the same, so that the charts have a past when somebody looks
	pollFresh  = time.Second / 2 // age up to which the numbers of the streams are not asked for again
	pollIdle   = 10 * time.Second
	atOnce     = 8 // requests to JetStream
)

// listen subscribes to what the workers say.
func (p *Page) listen() error {
	if p.workers != nil {
		return nil
	}
	sub, err := p.nc.Subscribe(wire.Queue("*").Worker("*"), func(msg *nats.Msg) {
		if queue, name, ok := subjectOf(msg.Subject); ok {
			p.model.workerSaid(queue, name, msg.Data, time.Now())
		}
	})
	if err != nil {
		return err
	}
	p.workers = sub
	return sub.SetPendingLimits(8192, 32<<20)
}

// subjectOf takes subpy.1.QUEUE.KIND.NAME apart.
func subjectOf(subject string) (wire.Queue, string, bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 {
		return "", "", false
	}
	return wire.Queue(parts[2]), parts[4], true
}

// look is called by whoever wants to see something: it has the page listen to the events, and the numbers be fresh.
func (p *Page) look(ctx context.Context) {
	p.viewing.Lock()
	p.looked = time.Now()
	if err := p.listen(); err != nil {
		p.opts.Log.Warn("page: could not listen to the workers", "error", err)
	}
	if p.events == nil && p.ctx.Err() == nil {
		sub, err := p.nc.Subscribe(wire.Queue("*").Events("*"), func(msg *nats.Msg) { p.happened(msg) })
		if err == nil {
			err = sub.SetPendingLimits(65536, 32<<20)
		}
		if err != nil {
			p.opts.Log.Warn("page: could not listen to the events", "error", err)
		} else {
			p.events = sub
			p.model.forgetFailures()
		}
	}
	p.viewing.Unlock()
	p.poll(ctx, pollFresh)
	p.readFailures(ctx)
}

// rest stops listening to what nobody looks at.
func (p *Page) rest(now time.Time) {
	p.viewing.Lock()
	defer p.viewing.Unlock()
	if now.Sub(p.looked) < unseen {
		return
	}
	drop := func(sub **nats.Subscription) {
		if *sub != nil {
			_ = (*sub).Unsubscribe() // it fails when the connection is closed, and then there is nothing to undo
			*sub = nil
		}
	}
	drop(&p.events)
	p.model.mu.Lock()
	many := len(p.model.workers) > fewWorkers
	p.model.mu.Unlock()
	if many {
		drop(&p.workers)
	}
}

// happened takes an event of a job.
func (p *Page) happened(msg *nats.Msg) {
	queue, key, ok := subjectOf(msg.Subject)
	var e wire.Event
	if !ok || queue.Check() != nil || wire.CheckKey(key) != nil || json.Unmarshal(msg.Data, &e) != nil {
		return
	}
	e.Key, e.Message, e.Function, e.Worker = key, cut(e.Message, longestText), cut(e.Function, longestText), cut(e.Worker, longestText)
	e.Event, e.Status, e.Kind = cut(e.Event, 40), cut(e.Status, 40), cut(e.Kind, 40)
	if e.Event == wire.EventFinished && e.Status == wire.StatusError {
		p.model.failed(queue, failure{Queue: string(queue), Key: key, Function: e.Function, Kind: e.Kind, Message: e.Message, Worker: e.Worker,
			Time: e.Time, Seconds: e.Seconds, Deliveries: e.Deliveries})
	}
	p.hub.happened(jobEvent{Queue: string(queue), Event: e})
}

// run counts the seconds until the page is closed.
func (p *Page) run() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	batch := time.NewTicker(batchEvery)
	defer batch.Stop()
	var polls sync.WaitGroup
	defer polls.Wait()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-batch.C:
			p.hub.flush()
		case <-second.C:
			now := time.Now()
			p.model.tick(now)
			if p.hub.count() > 0 {
				p.hub.broadcast("state", p.state(now))
				polls.Go(func() { p.look(p.ctx) })
			} else {
				p.rest(now)
				polls.Go(func() { p.poll(p.ctx, pollIdle) })
			}
		}
	}
}

// poll asks JetStream for the numbers of the streams, unless they are younger than fresh.
func (p *Page) poll(ctx context.Context, fresh time.Duration) {
	if !p.polling.TryLock() {
		if fresh == pollIdle {
			return
		}
		p.polling.Lock() // somebody asks already, and then they are fresh
	}
	defer p.polling.Unlock()
	if time.Since(p.polled) < fresh {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := p.askStreams(ctx)
	p.polled = time.Now()
	if p.ctx.Err() != nil || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	p.model.mu.Lock()
	p.model.problem = ""
	if err != nil {
		p.model.problem = cut(err.Error(), longestText)
	}
	p.model.mu.Unlock()
}

func (p *Page) askStreams(ctx context.Context) error {
	found := map[string]jetstream.StreamState{}
	var queues []wire.Queue
	leftOut := 0
	list := p.js.ListStreams(ctx, jetstream.WithStreamListSubject("subpy.1.>"))
	for info := range list.Info() {
		found[info.Config.Name] = info.State
		if queue, ok := wire.QueueOfStream(info.Config.Name); ok {
			if len(queues) < mostQueues {
				queues = append(queues, queue)
			} else {
				leftOut++
			}
		}
	}
	if err := list.Err(); err != nil {
		return err
	}
	numbers := make([]stored, len(queues))
	var tasks sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, queue := range queues {
		tasks.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			numbers[i] = p.storedIn(ctx, queue, found)
		})
	}
	tasks.Wait()
	m := p.model
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leftOut = leftOut
	for _, q := range m.queues {
		q.known, q.stored = false, stored{}
	}
	for i, name := range queues {
		if q := m.queue(name); q != nil {
			q.known, q.stored = true, numbers[i]
		}
	}
	return nil
}

func (p *Page) storedIn(ctx context.Context, queue wire.Queue, found map[string]jetstream.StreamState) stored {
	jobs, results, dead := found[queue.JobsStream()], found[queue.ResultsStream()], found[queue.DeadStream()]
	s := stored{Waiting: jobs.Msgs, Results: results.Msgs, ResultsBytes: results.Bytes, Dead: dead.Msgs, DeadVersion: dead.LastSeq*1000003 + dead.Msgs}
	consumer, err := p.js.Consumer(ctx, queue.JobsStream(), wire.Consumer)
	if err != nil {
		return s // no worker came yet: all of it waits
	}
	info := consumer.CachedInfo()
	s.Waiting, s.InProgress = info.NumPending, info.NumAckPending
	return s
}
