package page

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// numbers of a queue, or of all.
type numbers struct {
	Name string `json:"name,omitempty"`
	stored
	Workers    int       `json:"workers"` // that answer
	Parallel   int       `json:"parallel"`
	Running    int       `json:"running"`
	Held       int       `json:"held"`
	Done       uint64    `json:"done"` // by the workers that are there, since each was started
	Failed     uint64    `json:"failed"`
	DoneRate   float64   `json:"done_rate"`
	FailedRate float64   `json:"failed_rate"`
	Ran        []float64 `json:"ran"` // the 50th, 90th and 99th percentile of the last seconds
	Waited     []float64 `json:"waited"`
	Failures   uint64    `json:"failures"` // grows with each failure
}

type workerNumbers struct {
	Queue      string    `json:"queue"`
	Worker     string    `json:"worker"`
	Host       string    `json:"host"`
	PID        int       `json:"pid"`
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	State      string    `json:"state"`
	Silent     float64   `json:"silent"` // seconds since it said something
	Parallel   int       `json:"parallel"`
	Running    int       `json:"running"`
	Held       int       `json:"held"`
	Done       uint64    `json:"done"`
	Failed     uint64    `json:"failed"`
	Retried    uint64    `json:"retried"`
	Dead       uint64    `json:"dead"`
	Duplicates uint64    `json:"duplicates"`
	DoneRate   float64   `json:"done_rate"`
	FailedRate float64   `json:"failed_rate"`
	Functions  any       `json:"functions"` // how many, or which
	Ran        []float64 `json:"ran,omitempty"`
}

type natsState struct {
	Connected bool   `json:"connected"`
	Error     string `json:"error,omitempty"`
}

// state is what the page shows, sent each second.
type state struct {
	Time             time.Time       `json:"time"`
	Nats             natsState       `json:"nats"`
	Queues           []numbers       `json:"queues"`
	QueuesLeftOut    int             `json:"queues_left_out"`
	Workers          []workerNumbers `json:"workers"`
	WorkersLeftOut   int             `json:"workers_left_out"`
	Total            numbers         `json:"total"`
	FunctionsVersion uint64          `json:"functions_version"`
}

// wholeState has what is too much for each second.
type wholeState struct {
	state
	Home      string                     `json:"home"`
	Functions map[string][]wire.Function `json:"functions"` // by queue
	Series    map[string]any             `json:"series"`
}

func (p *Page) getState(r *http.Request) (any, error) {
	shown, err := queueShown(r)
	if err != nil {
		return nil, err
	}
	p.look(r.Context())
	m := p.model
	now := time.Now()
	whole := wholeState{state: p.state(now), Home: p.opts.Queue, Functions: map[string][]wire.Function{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	history := m.total
	if shown != "" {
		q, ok := m.queues[shown]
		if !ok {
			return nil, &problem{status: http.StatusNotFound, Field: "queue", Message: fmt.Sprintf("There is no queue %q.", shown),
				Fix: fmt.Sprintf("A worker makes it when it starts: subpy-worker-nats --queue %s", shown)}
		}
		history = q.history
	}
	for name, q := range m.queues {
		whole.Functions[string(name)] = q.servedFunctions()
	}
	whole.Series = history.series()
	whole.Series["end"] = now.UnixMilli()
	whole.FunctionsVersion = m.functions
	return whole, nil
}

// state takes the numbers as they are.
func (p *Page) state(now time.Time) state {
	m := p.model
	m.mu.Lock()
	defer m.mu.Unlock()
	s := state{Time: now, Queues: []numbers{}, QueuesLeftOut: m.leftOut, FunctionsVersion: m.functions,
		Nats: natsState{Connected: p.nc.Status() == nats.CONNECTED, Error: m.problem}}
	if !s.Nats.Connected && p.nc.LastError() != nil {
		s.Nats.Error = p.nc.LastError().Error()
	}
	of := map[string]*numbers{}
	for _, q := range m.sortedQueues() {
		n := numbers{Name: string(q.name), stored: q.stored, Failures: q.failed.seen}
		n.take(q.history.last())
		s.Queues = append(s.Queues, n)
		t := &s.Total.stored
		t.Waiting, t.InProgress, t.Results = t.Waiting+n.Waiting, t.InProgress+n.InProgress, t.Results+n.Results
		t.ResultsBytes, t.Dead, t.DeadVersion = t.ResultsBytes+n.ResultsBytes, t.Dead+n.Dead, t.DeadVersion+n.DeadVersion
	}
	for i := range s.Queues {
		of[s.Queues[i].Name] = &s.Queues[i]
	}
	s.Total.take(m.total.last())
	s.Total.Failures = m.failures
	s.Workers = make([]workerNumbers, 0, len(m.workers))
	for _, w := range m.workers {
		one := w.numbers(now)
		one.Functions = len(w.functions)
		s.Workers = append(s.Workers, one)
		if one.State != stateLost && one.State != stateLeft {
			s.Total.join(one)
			if n := of[one.Queue]; n != nil {
				n.join(one)
			}
		}
	}
	slices.SortFunc(s.Workers, func(a, b workerNumbers) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Worker, b.Worker))
	})
	if len(s.Workers) > workersShown {
		s.WorkersLeftOut = len(s.Workers) - workersShown
		s.Workers = s.Workers[:workersShown]
	}
	return s
}

func (n *numbers) take(p point) {
	n.DoneRate, n.FailedRate, n.Ran, n.Waited = p.done, p.failed, p.ran, p.waited
}

func (n *numbers) join(w workerNumbers) {
	n.Workers++
	n.Parallel += w.Parallel
	n.Running += w.Running
	n.Held += w.Held
	n.Done += w.Done
	n.Failed += w.Failed
}

func (w *worker) numbers(now time.Time) workerNumbers {
	s := w.status
	return workerNumbers{Queue: s.Queue, Worker: s.Worker, Host: s.Host, PID: s.PID, Version: s.Version, Started: s.Started,
		State: w.state(now), Silent: round(now.Sub(w.heard).Seconds(), 10), Parallel: s.Parallel, Running: s.Running, Held: s.Held,
		Done: s.Done, Failed: s.Failed, Retried: s.Retried, Dead: s.Dead, Duplicates: s.Duplicates,
		DoneRate: round(w.done, 100), FailedRate: round(w.fail, 100)}
}

// getWorker answers with all that is known of one worker.
func (p *Page) getWorker(r *http.Request) (any, error) {
	queue, name := r.PathValue("queue"), r.PathValue("worker")
	m := p.model
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.workers[queue+" "+name]
	if !ok {
		return nil, &problem{status: http.StatusNotFound, Message: fmt.Sprintf("There is no worker %.100q of the queue %.100q.", name, queue),
			Fix: "It may have ended; /api/state lists those that answer."}
	}
	one := w.numbers(time.Now())
	one.Ran = percentiles(w.status.Ran)
	functions := make([]wire.Function, 0, len(w.functions))
	if q := m.queues[wire.Queue(queue)]; q != nil {
		for _, f := range w.functions {
			if known := q.functions[f]; known != nil {
				functions = append(functions, known.Function)
			}
		}
	}
	one.Functions = functions
	return one, nil
}
