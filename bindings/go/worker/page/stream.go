package page

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	mostBrowsers = 256
	mostWaiting  = 64 // messages for a browser that is slow; what comes then is dropped
	mostWatched  = 20 // keys of a browser
	mostInBatch  = 40 // events of jobs in a batch
	quiet        = 10 // up to how many in a batch also those are sent that say that a job started
	batchEvery   = 250 * time.Millisecond
	writeTimeout = 15 * time.Second
)

// A jobEvent is an event and the queue it is of.
type jobEvent struct {
	Queue string `json:"queue"`
	ID    uint64 `json:"id"`
	wire.Event
}

// A hub sends to all browsers. It never waits for one.
type hub struct {
	mu       sync.Mutex
	browsers map[string]*browser
	watched  map[string]map[*browser]struct{} // by queue and key
	batch    []jobEvent
	missed   int
	id       uint64
	closed   bool
	log      *slog.Logger
}

type browser struct {
	id      string
	out     chan []byte
	end     chan struct{}
	watches []string
}

func newHub(log *slog.Logger) *hub {
	return &hub{browsers: map[string]*browser{}, watched: map[string]map[*browser]struct{}{}, log: log}
}

// join adds a browser; nil when there are too many.
func (h *hub) join() *browser {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.browsers) >= mostBrowsers {
		return nil
	}
	b := &browser{id: rand.Text(), out: make(chan []byte, mostWaiting), end: make(chan struct{})}
	h.browsers[b.id] = b
	return b
}

func (h *hub) leave(b *browser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range b.watches {
		h.unwatch(b, id)
	}
	delete(h.browsers, b.id)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for _, b := range h.browsers {
		close(b.end)
	}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.browsers)
}

// watch has all events of a key sent to a browser, without loss as long as it reads.
func (h *hub) watch(client string, queue wire.Queue, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.browsers[client]
	if !ok {
		return
	}
	id := string(queue) + "/" + key
	if _, ok := h.watched[id][b]; ok {
		return
	}
	if len(b.watches) >= mostWatched {
		h.unwatch(b, b.watches[0])
		b.watches = b.watches[1:]
	}
	if h.watched[id] == nil {
		h.watched[id] = map[*browser]struct{}{}
	}
	h.watched[id][b] = struct{}{}
	b.watches = append(b.watches, id)
}

func (h *hub) unwatch(b *browser, id string) {
	delete(h.watched[id], b)
	if len(h.watched[id]) == 0 {
		delete(h.watched, id)
	}
}

// happened sends an event to those that watch its key at once, and to the others with the next batch.
func (h *hub) happened(e jobEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.browsers) == 0 {
		return
	}
	h.id++
	e.ID = h.id
	if watching := h.watched[e.Queue+"/"+e.Key]; len(watching) > 0 {
		message := h.encode("job", e)
		for b := range watching {
			b.send(message)
		}
	}
	if len(h.batch) >= mostInBatch || e.Event.Event == wire.EventStarted && len(h.batch) >= quiet {
		h.missed++
		return
	}
	h.batch = append(h.batch, e)
}

// flush sends the batch.
func (h *hub) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.batch) == 0 {
		return
	}
	message := h.encode("jobs", map[string]any{"events": h.batch, "missed": h.missed})
	h.batch, h.missed = nil, 0
	for _, b := range h.browsers {
		b.send(message)
	}
}

func (h *hub) broadcast(name string, document any) {
	message := h.encode(name, document)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.browsers {
		b.send(message)
	}
}

func (b *browser) send(message []byte) {
	if message == nil {
		return
	}
	select {
	case b.out <- message:
	default: // it is slow: the next state makes up for it, and the page asks for results that it waits for
	}
}

// encode makes a server-sent event, nil of what has no form in JSON.
func (h *hub) encode(name string, document any) []byte {
	body, err := json.Marshal(document)
	if err != nil {
		h.log.Error("page: an event is not sent", "event", name, "error", err)
		return nil
	}
	var message bytes.Buffer
	message.WriteString("event: " + name + "\ndata: ")
	message.Write(body)
	message.WriteString("\n\n")
	return message.Bytes()
}

// serveEvents sends what happens until the browser goes.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	b := p.hub.join()
	if b == nil {
		fail(w, &problem{status: http.StatusServiceUnavailable, Message: "Too many browsers show this page.",
			Fix: "Close one, or open the page of another worker."})
		return
	}
	defer p.hub.leave(b)
	p.attend()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy is not to hold it back
	w.WriteHeader(http.StatusOK)
	to := http.NewResponseController(w)
	b.send(p.hub.encode("hello", map[string]string{"client": b.id}))
	b.send(p.hub.encode("state", p.state(time.Now())))
	for {
		select {
		case <-r.Context().Done():
			return
		case <-b.end:
			return
		case message := <-b.out:
			_ = to.SetWriteDeadline(time.Now().Add(p.sending)) // some writers have no deadlines
			if _, err := w.Write(message); err != nil {
				return
			}
			if err := to.Flush(); err != nil {
				return
			}
		}
	}
}
