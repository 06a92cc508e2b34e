package page

import (
	"cmp"
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// What is kept at most: whoever can publish on NATS could make up queues and workers without end.
const (
	mostQueues    = 64
	mostWorkers   = 2000 // of all queues
	mostFunctions = 1000 // of a queue
	workersShown  = 300
	longestDoc    = 4000
	longestText   = 300

	lostAfter = 5 * time.Second  // that a worker said nothing
	goneAfter = 60 * time.Second // that a worker was lost
	leftShown = 10 * time.Second // that a worker that left is still shown
	stateLost = "lost"
	stateLeft = "left"
)

// A model is what is known of queues and workers. Its clock is this machine's: those of the workers are not compared with it.
type model struct {
	mu        sync.Mutex
	queues    map[wire.Queue]*queue
	workers   map[string]*worker // by queue and name
	total     *history
	failures  uint64 // how many were seen, of all queues
	functions uint64 // grows whenever the functions change
	leftOut   int    // queues that were too many
	problem   string // why the numbers of the streams are old
	seed      maphash.Seed
}

type queue struct {
	name      wire.Queue
	stored    stored
	known     bool // there is a stream of its jobs
	history   *history
	functions map[string]*function
	failed    failures
}

// stored is what the streams of a queue say.
type stored struct {
	Waiting      uint64 `json:"waiting"`
	InProgress   int    `json:"in_progress"` // delivered and not acknowledged
	Results      uint64 `json:"results"`
	ResultsBytes uint64 `json:"results_bytes"`
	Dead         uint64 `json:"dead"`
	DeadVersion  uint64 `json:"dead_version"` // changes with the dead letters
}

type function struct {
	wire.Function
	served time.Time // when a worker last said that it serves it
}

type worker struct {
	status     wire.Worker // without functions
	functions  []string    // names
	seen       uint64      // a hash of its functions as they came
	heard      time.Time
	done, fail float64 // a second, smoothed
}

// status is what a worker sends, with the functions not yet read: they are the most of it, and rarely change.
type status struct {
	wire.Worker
	Functions json.RawMessage `json:"functions"`
}

func newModel() *model {
	return &model{queues: map[wire.Queue]*queue{}, workers: map[string]*worker{}, total: newHistory(), seed: maphash.MakeSeed()}
}

// queue returns the queue of a name, which it makes when there is room. The caller holds mu.
func (m *model) queue(name wire.Queue) *queue {
	q, ok := m.queues[name]
	if !ok && len(m.queues) < mostQueues {
		q = &queue{name: name, history: newHistory(), functions: map[string]*function{}}
		m.queues[name] = q
	}
	return q
}

// workerSaid takes a message of a worker. What is no such message is left alone.
func (m *model) workerSaid(queueName wire.Queue, name string, body []byte, now time.Time) {
	var s status
	if queueName.Check() != nil || wire.CheckKey(name) != nil && !isName(name) || json.Unmarshal(body, &s) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue(queueName)
	if q == nil {
		return
	}
	id := string(queueName) + " " + name
	w, ok := m.workers[id]
	if !ok {
		if len(m.workers) >= mostWorkers {
			return
		}
		w = new(worker)
		m.workers[id] = w
	}
	s.Queue, s.Worker.Worker = string(queueName), name
	if ok {
		m.count(q, w, &s.Worker, now)
	}
	if seen := maphash.Bytes(m.seed, s.Functions); seen != w.seen || !ok {
		w.functions = m.serves(q, s.Functions, now)
		w.seen = seen
	}
	for _, name := range w.functions {
		q.functions[name].served = now
	}
	w.status, w.heard = clip(s.Worker), now
}

// count adds what a worker did since its last message.
func (m *model) count(q *queue, w *worker, s *wire.Worker, now time.Time) {
	before := w.status
	if !before.Started.Equal(s.Started) || s.Done < before.Done || s.Failed < before.Failed {
		before = wire.Worker{} // it was started anew: all that it counted is new
	}
	ran, waited := difference(before.Ran, s.Ran), difference(before.Waited, s.Waited)
	done, failed := s.Done-before.Done, s.Failed-before.Failed
	for _, h := range []*history{q.history, m.total} {
		h.done += done
		h.failed += failed
		add(&h.ran.now, ran)
		add(&h.waited.now, waited)
	}
	since := max(s.Time.Sub(w.status.Time), 200*time.Millisecond)
	if elapsed := now.Sub(w.heard); s.Time.IsZero() || since > 2*elapsed+time.Second {
		since = max(elapsed, 200*time.Millisecond) // its clock was set
	}
	w.done, w.fail = smooth(w.done, float64(done)/since.Seconds()), smooth(w.fail, float64(failed)/since.Seconds())
}

// smooth has a rate follow its newest value, so that it can be read.
func smooth(rate, newest float64) float64 {
	if rate == 0 {
		return newest
	}
	return rate + 0.4*(newest-rate)
}

// serves notes the functions of a worker and returns their names.
func (m *model) serves(q *queue, raw json.RawMessage, now time.Time) []string {
	var list []wire.Function
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	names := make([]string, 0, min(len(list), mostFunctions))
	for _, f := range list {
		if f.Name == "" || len(f.Name) > longestText || slices.Contains(names, f.Name) && len(names) < 100 {
			continue
		}
		known, ok := q.functions[f.Name]
		if !ok {
			if len(q.functions) >= mostFunctions {
				continue
			}
			known = new(function)
			q.functions[strings.Clone(f.Name)] = known
		}
		f.Signature, f.Doc = cut(f.Signature, longestText*2), cut(f.Doc, longestDoc)
		if known.Function != f {
			known.Function = f
			m.functions++
		}
		known.served = now
		names = append(names, known.Name)
	}
	return names
}

// tick ends a second: it adds it to the histories, and forgets who is gone.
func (m *model) tick(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, w := range m.workers {
		silent := now.Sub(w.heard)
		if silent > lostAfter+goneAfter || w.status.Leaving && silent > leftShown {
			delete(m.workers, id)
		} else if silent > lostAfter {
			w.done, w.fail = 0, 0
		}
	}
	var all stored
	for name, q := range m.queues {
		for f, known := range q.functions {
			if now.Sub(known.served) > lostAfter+goneAfter {
				delete(q.functions, f)
				m.functions++
			}
		}
		q.history.end(q.stored)
		all.Waiting += q.stored.Waiting
		all.InProgress += q.stored.InProgress
		if !q.known && !m.anyOf(name) {
			delete(m.queues, name)
			m.functions++
		}
	}
	for _, w := range m.workers { // a function that was forgotten is not served by anybody that is still there
		q := m.queues[wire.Queue(w.status.Queue)]
		w.functions = slices.DeleteFunc(w.functions, func(name string) bool { return q == nil || q.functions[name] == nil })
	}
	m.total.end(all)
}

func (m *model) anyOf(name wire.Queue) bool {
	for _, w := range m.workers {
		if w.status.Queue == string(name) {
			return true
		}
	}
	return false
}

func (w *worker) state(now time.Time) string {
	switch {
	case w.status.Leaving:
		return stateLeft
	case now.Sub(w.heard) > lostAfter:
		return stateLost
	}
	return w.status.State
}

// servedFunctions are those of a queue, by name.
func (q *queue) servedFunctions() []wire.Function {
	list := make([]wire.Function, 0, len(q.functions))
	for _, name := range slices.Sorted(maps.Keys(q.functions)) {
		list = append(list, q.functions[name].Function)
	}
	return list
}

func (m *model) sortedQueues() []*queue {
	return slices.SortedFunc(maps.Values(m.queues), func(a, b *queue) int { return cmp.Compare(a.name, b.name) })
}

func clip(w wire.Worker) wire.Worker {
	w.Host, w.Version, w.State = cut(w.Host, longestText), cut(w.Version, 100), cut(w.State, 40)
	w.Functions = nil
	if !usable(w.Ran) {
		w.Ran = wire.Histogram{}
	}
	if !usable(w.Waited) {
		w.Waited = wire.Histogram{}
	}
	return w
}

// isName tells whether a text can be the name of a worker: one token of a subject.
func isName(name string) bool {
	return name != "" && len(name) <= longestText && !strings.ContainsAny(name, " .*>\t\r\n")
}

// cut shortens a text to about n bytes, at the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
