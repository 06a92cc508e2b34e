// Package page is the web page of a worker: queues, workers, rates and latencies as charts, failures, dead letters, and a form to
// submit a job, live through server-sent events. All files are inside; it needs nothing but NATS.
package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// ShortestToken is how many bytes a token has to have, so that it cannot be guessed.
const ShortestToken = 16

// Options of a page. The zero value is fine for a page that only this machine reaches.
type Options struct {
	// Token is what has to be known to see anything and to do anything: sent as "Authorization: Bearer TOKEN", or typed into the
	// page. Set it when the page is reached from other machines. "" stands for none.
	Token string

	// Hosts are names that the header Host of a request may have, without a port, besides localhost and the addresses of this
	// machine. It matters without a token only: it keeps a foreign site from reading the page under a name of its own.
	Hosts []string

	// Queue is the one that the form begins with, "default" by default.
	Queue string

	// Log takes what goes wrong in the background. nil stands for slog.Default().
	Log *slog.Logger
}

// A Page is an http.Handler. It is to be mounted at a path that ends with "/", with that path stripped.
type Page struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	opts    Options
	handler http.Handler
	model   *model
	hub     *hub
	lists   *lists
	slowest time.Duration // that the body of a request may be
	sending time.Duration // how long an event may take to send

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	viewing sync.Mutex // guards what follows
	looked  time.Time  // when somebody last looked
	events  *nats.Subscription
	workers *nats.Subscription

	polling sync.Mutex
	polled  time.Time
	reading sync.Mutex // failures of before
	unread  time.Time  // when that last failed

	retrying sync.Mutex // a letter that is retried twice at once would lose the new result
}

// New makes a page and begins to listen to the workers. It does not close nc.
func New(nc *nats.Conn, js jetstream.JetStream, opts Options) (*Page, error) {
	if opts.Token != "" && len(opts.Token) < ShortestToken {
		return nil, fmt.Errorf("page: Options.Token is %d bytes long, and has to have at least %d; "+
			"make one with: openssl rand -hex 16", len(opts.Token), ShortestToken)
	}
	if opts.Queue == "" {
		opts.Queue = wire.DefaultQueue
	}
	if err := wire.Queue(opts.Queue).Check(); err != nil {
		return nil, fmt.Errorf("page: Options.Queue: %w", err)
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	p := &Page{nc: nc, js: js, opts: opts, model: newModel(), hub: newHub(opts.Log), lists: newLists(), slowest: slowestBody, sending: writeTimeout}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.handler = p.guard(p.routes())
	if err := p.listen(); err != nil {
		p.cancel()
		return nil, err
	}
	p.tasks.Go(p.run)
	return p, nil
}

// ServeHTTP serves the page and its API.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handler.ServeHTTP(w, r)
}

// Close ends the streams of events and stops listening. Requests that come later are answered with an error.
func (p *Page) Close() {
	p.cancel()
	p.hub.close()
	p.viewing.Lock()
	for _, sub := range []*nats.Subscription{p.workers, p.events} {
		if sub != nil {
			_ = sub.Unsubscribe() // it fails when the connection is closed, and then there is nothing to undo
		}
	}
	p.workers, p.events = nil, nil
	p.viewing.Unlock()
	p.tasks.Wait()
}

func (p *Page) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", serveIndex)
	mux.HandleFunc("GET /static/{name}", serveStatic)
	mux.HandleFunc("POST /api/login", p.login)
	for route, answer := range map[string]func(*http.Request) (any, error){
		"GET /api/state":    p.getState,
		"GET /api/failures": p.getFailures,
		"GET /api/dead":     p.getDead,
		"GET /api/queues/{queue}/workers/{worker}":  p.getWorker,
		"GET /api/queues/{queue}/results/{key}":     p.getResult,
		"GET /api/queues/{queue}/dead/{key}":        p.getLetter,
		"POST /api/queues/{queue}/jobs":             p.submit,
		"POST /api/queues/{queue}/cancel/{key}":     p.cancelJob,
		"POST /api/queues/{queue}/dead/{key}/retry": p.retry,
		"POST /api/queues/{queue}/dead/{key}/drop":  p.drop,
	} {
		mux.HandleFunc(route, p.signedIn(p.json(answer)))
	}
	mux.HandleFunc("GET /api/events", p.signedIn(p.serveEvents))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &problem{status: http.StatusNotFound, Message: fmt.Sprintf("There is nothing at %s %.200s.", r.Method, r.URL.Path),
			Fix: "The page is at /, its API at /api/state; docs/worker.md lists the rest."})
	})
	return mux
}

// queueAndKey are the ones in the path of a request.
func queueAndKey(r *http.Request) (wire.Queue, string, error) {
	queue, key := wire.Queue(r.PathValue("queue")), r.PathValue("key")
	if err := queue.Check(); err != nil {
		return "", "", &problem{status: http.StatusBadRequest, Message: err.Error(), Field: "queue"}
	}
	if err := wire.CheckKey(key); err != nil {
		return "", "", &problem{status: http.StatusBadRequest, Message: err.Error(), Field: "key"}
	}
	return queue, key, nil
}

// actOn is what a request acts on whose body says nothing more.
func actOn(r *http.Request) (queue wire.Queue, key string, err error) {
	if queue, key, err = queueAndKey(r); err == nil {
		_, err = readBody(r, shortBody)
	}
	return queue, key, err
}

// queueShown is the parameter queue of a request, "" for all.
func queueShown(r *http.Request) (wire.Queue, error) {
	queue := wire.Queue(r.URL.Query().Get("queue"))
	if queue == "" {
		return "", nil
	}
	if err := queue.Check(); err != nil {
		return "", &problem{status: http.StatusBadRequest, Message: err.Error(), Field: "queue"}
	}
	return queue, nil
}

// reachable says what is wrong when there is no connection to NATS, at once and not after a while.
func (p *Page) reachable() error {
	if p.nc.Status() == nats.CONNECTED {
		return nil
	}
	return natsProblem("", nats.ErrDisconnected)
}

// natsProblem is an error of JetStream for whoever sent the request.
func natsProblem(queue wire.Queue, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return &problem{status: http.StatusNotFound, Field: "queue", Message: fmt.Sprintf("There is no queue %q.", queue),
			Fix: fmt.Sprintf("A worker makes it when it starts: subpy-worker-nats --queue %s", queue)}
	case errors.Is(err, nats.ErrMaxPayload):
		return &problem{status: http.StatusRequestEntityTooLarge, Message: "The request is larger than the NATS server takes.",
			Fix: "Put the data where the function can read it, and submit where it is."}
	}
	return &problem{status: http.StatusServiceUnavailable, Message: fmt.Sprintf("NATS did not do it: %v.", err),
		Fix: "See whether the NATS servers run and the worker reaches them, and try again."}
}
