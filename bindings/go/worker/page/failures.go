package page

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	mostFailures = 100      // of a queue, and in an answer
	resultsBack  = 2000     // results that are looked through for failures of before
	resultsBytes = 16 << 20 // of them
)

// A failure is a job that failed. Its traceback is in its result.
type failure struct {
	Queue      string    `json:"queue"`
	Key        string    `json:"key"`
	Function   string    `json:"function"`
	Kind       string    `json:"kind"`
	Message    string    `json:"message"`
	Worker     string    `json:"worker"`
	Time       time.Time `json:"time"`
	Seconds    float64   `json:"seconds"`
	Deliveries int       `json:"deliveries"`
}

// failures are the newest of a queue.
type failures struct {
	seen uint64 // grows with each
	list []failure
	read bool // those of before are in it
}

func newestFirst(a, b failure) int { return b.Time.Compare(a.Time) }

// failed notes a failure that just happened.
func (m *model) failed(name wire.Queue, f failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue(name)
	if q == nil {
		return
	}
	m.failures++
	q.failed.seen++
	if len(q.failed.list) >= mostFailures {
		q.failed.list = q.failed.list[:mostFailures-1]
	}
	q.failed.list = slices.Insert(q.failed.list, 0, f)
}

// forgetFailures has those of before read anew: while nobody looked, the events were not listened to.
func (m *model) forgetFailures() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.queues {
		q.failed.list, q.failed.read = nil, false
	}
}

// readFailures reads the failures of before from the results, of the queues where it was not done yet.
func (p *Page) readFailures(ctx context.Context) {
	p.reading.Lock()
	defer p.reading.Unlock()
	m := p.model
	var lacking []wire.Queue
	m.mu.Lock()
	for name, q := range m.queues {
		if q.known && !q.failed.read {
			lacking = append(lacking, name)
		}
	}
	m.mu.Unlock()
	for _, name := range lacking {
		found, err := p.failuresBefore(ctx, name)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			if ctx.Err() == nil {
				p.opts.Log.Warn("page: could not read the failures of before", "queue", name, "error", err)
			}
			return
		}
		m.mu.Lock()
		if q := m.queues[name]; q != nil {
			q.failed.merge(found)
			q.failed.read = true
			q.failed.seen++
			m.failures++
		}
		m.mu.Unlock()
	}
}

func (f *failures) merge(before []failure) {
	have := map[string]bool{}
	for _, one := range f.list {
		have[one.Key] = true
	}
	for _, one := range before {
		if !have[one.Key] {
			f.list = append(f.list, one)
		}
	}
	slices.SortStableFunc(f.list, newestFirst)
	f.list = f.list[:min(len(f.list), mostFailures)]
}

func (p *Page) failuresBefore(ctx context.Context, queue wire.Queue) ([]failure, error) {
	messages, err := p.readBack(ctx, queue.ResultsStream(), resultsBack, resultsBytes)
	if err != nil {
		return nil, err
	}
	var found []failure
	for _, msg := range messages {
		content, err := wire.ContentOf(msg.Headers().Get(wire.HeaderContentType))
		if err != nil {
			continue
		}
		r, err := wire.DecodeResult(content, msg.Data())
		if err != nil || r.Error == nil { // what is no result was put there by somebody else
			continue
		}
		found = append(found, failure{Queue: string(queue), Key: wire.LastToken(msg.Subject()), Function: cut(r.Function, longestText), Kind: cut(r.Error.Kind, 40),
			Message: lineOf(r.Error), Worker: cut(r.Worker, longestText), Time: r.Finished, Seconds: r.Seconds, Deliveries: r.Deliveries})
		if len(found) == mostFailures {
			break
		}
	}
	return found, nil
}

// lineOf is an error in one line, as events have it.
func lineOf(e *wire.Error) string {
	message := e.Message
	if e.Type != "" {
		message = e.Type + ": " + message
	}
	return cut(firstLine(message), longestText)
}

// getFailures answers with the newest failures, newest first.
func (p *Page) getFailures(r *http.Request) (any, error) {
	shown, err := queueShown(r)
	if err != nil {
		return nil, err
	}
	p.look(r.Context())
	m := p.model
	m.mu.Lock()
	defer m.mu.Unlock()
	list := []failure{}
	if shown != "" && m.queues[shown] == nil {
		return nil, natsProblem(shown, jetstream.ErrStreamNotFound)
	}
	for name, q := range m.queues {
		if shown == "" || shown == name {
			list = append(list, q.failed.list...)
		}
	}
	slices.SortStableFunc(list, newestFirst)
	return map[string]any{"failures": list[:min(len(list), mostFailures)]}, nil
}
