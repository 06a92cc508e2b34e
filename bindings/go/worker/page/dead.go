package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/internal/leader"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	mostLetters  = 100     // of a queue, and in an answer
	lettersBytes = 4 << 20 // of a queue that are read
)

// A letter is a dead letter in a list.
type letter struct {
	Queue      string    `json:"queue"`
	Key        string    `json:"key"`
	Function   string    `json:"function"`
	Kind       string    `json:"kind"`
	Message    string    `json:"message"`
	Deliveries int       `json:"deliveries"`
	Time       time.Time `json:"time"`
	Sequence   uint64    `json:"sequence"`
}

// lists are the dead letters as they were last read: many browsers ask for the same.
type lists struct {
	mu sync.Mutex
	of map[wire.Queue]*list
}

type list struct {
	version uint64
	letters []letter
}

func newLists() *lists { return &lists{of: map[wire.Queue]*list{}} }

func (l *lists) forget(queue wire.Queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, queue)
}

// getDead answers with the newest dead letters, newest first.
func (p *Page) getDead(r *http.Request) (any, error) {
	shown, err := queueShown(r)
	if err != nil {
		return nil, err
	}
	p.poll(r.Context(), pollFresh)
	versions := map[wire.Queue]stored{}
	p.model.mu.Lock()
	for name, q := range p.model.queues {
		if shown == "" || shown == name {
			versions[name] = q.stored
		}
	}
	p.model.mu.Unlock()
	if shown != "" && len(versions) == 0 {
		return nil, natsProblem(shown, jetstream.ErrStreamNotFound)
	}
	letters, total := []letter{}, uint64(0)
	for name, s := range versions {
		if s.Dead == 0 {
			continue
		}
		some, err := p.letters(r.Context(), name, s.DeadVersion)
		if err != nil {
			return nil, natsProblem(name, err)
		}
		letters, total = append(letters, some...), total+max(s.Dead, uint64(len(some)))
	}
	slices.SortFunc(letters, func(a, b letter) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Sequence, a.Sequence)) })
	return map[string]any{"dead": letters[:min(len(letters), mostLetters)], "total": total}, nil
}

func (p *Page) letters(ctx context.Context, queue wire.Queue, version uint64) ([]letter, error) {
	p.lists.mu.Lock()
	defer p.lists.mu.Unlock()
	if have := p.lists.of[queue]; have != nil && have.version == version {
		return have.letters, nil
	}
	messages, err := p.readBack(ctx, queue.DeadStream(), mostLetters, lettersBytes)
	if err != nil {
		return nil, err
	}
	read := make([]letter, 0, len(messages))
	for _, msg := range messages {
		h := msg.Headers()
		one := letter{Queue: string(queue), Key: wire.LastToken(msg.Subject()), Kind: cut(h.Get(wire.HeaderKind), 40),
			Message: cut(h.Get(wire.HeaderMessage), longestText)}
		one.Deliveries, _ = strconv.Atoi(h.Get(wire.HeaderDeliveries)) // 0 when it does not say
		if about, err := msg.Metadata(); err == nil {
			one.Time, one.Sequence = about.Timestamp, about.Sequence.Stream
		}
		if content, err := wire.ContentOf(h.Get(wire.HeaderContentType)); err == nil {
			if request, _ := wire.DecodeRequest(content, msg.Data()); request != nil {
				one.Function = cut(request.Function, longestText)
			}
		}
		read = append(read, one)
	}
	if len(p.lists.of) >= mostQueues {
		clear(p.lists.of)
	}
	p.lists.of[queue] = &list{version, read}
	return read, nil
}

// A requestView is a request as the form takes it.
type requestView struct {
	Function string  `json:"function"`
	Args     string  `json:"args"`
	Kwargs   string  `json:"kwargs"`
	Timeout  float64 `json:"timeout"`
	Tries    int     `json:"tries"`
}

type letterView struct {
	letter
	Text    string       `json:"text"`
	TextCut bool         `json:"text_cut"`
	Request *requestView `json:"request"` // nil when it is none
}

// getLetter answers with the whole of a dead letter.
func (p *Page) getLetter(r *http.Request) (any, error) {
	queue, key, err := queueAndKey(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	msg, err := p.message(ctx, queue, queue.DeadStream(), queue.Dead(key))
	if err != nil {
		return nil, err
	}
	view := letterView{letter: letter{Queue: string(queue), Key: key, Kind: msg.Header.Get(wire.HeaderKind), Time: msg.Time, Sequence: msg.Sequence,
		Message: msg.Header.Get(wire.HeaderMessage)}}
	view.Deliveries, _ = strconv.Atoi(msg.Header.Get(wire.HeaderDeliveries)) // 0 when it does not say
	content, err := wire.ContentOf(msg.Header.Get(wire.HeaderContentType))
	view.Text, view.TextCut = shorten(indent(msg.Data))
	if err != nil {
		return view, nil
	}
	request, err := wire.DecodeRequest(content, msg.Data)
	view.Function = request.Function
	if err != nil {
		return view, nil
	}
	if content == wire.MessagePack {
		if body, err := request.Encode(wire.JSON); err == nil {
			view.Text, view.TextCut = shorten(indent(body))
		}
	}
	view.Request = &requestView{Function: request.Function, Timeout: request.Timeout.Seconds(), Tries: request.Tries}
	if request.Args != nil {
		view.Request.Args, _ = textOf(request.Args)
	}
	if request.Kwargs != nil {
		view.Request.Kwargs, _ = textOf(request.Kwargs)
	}
	return view, nil
}

// retry removes the failed result of a key, publishes the request again, and deletes the dead letter, in this order: what happens in
// between leaves the dead letter, and with it the request.
func (p *Page) retry(r *http.Request) (any, error) {
	queue, key, err := actOn(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	p.retrying.Lock()
	defer p.retrying.Unlock()
	dead, err := p.message(ctx, queue, queue.DeadStream(), queue.Dead(key))
	if err != nil {
		return nil, err
	}
	if dead.Header.Get(wire.HeaderKind) == wire.KindInvalid {
		return nil, &problem{status: http.StatusConflict, Message: "It is not a valid request, and would be given up again.",
			Fix: "Submit a mended one under another key, and drop this one."}
	}
	if err := p.removeFailure(ctx, queue, key); err != nil {
		return nil, err
	}
	if _, err := p.js.PublishMsg(ctx, again(dead, queue, key)); err != nil {
		return nil, natsProblem(queue, err)
	}
	return p.deleteLetter(ctx, queue, key, dead.Sequence)
}

// removeFailure removes the result of a key, unless it is a good one: of two jobs of a key one may be given up after the other has
// succeeded.
func (p *Page) removeFailure(ctx context.Context, queue wire.Queue, key string) error {
	there, err := leader.Last(ctx, p.nc, p.js, queue.ResultsStream(), queue.Result(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return natsProblem(queue, err)
	}
	if wire.Succeeded(there.Header.Get(wire.HeaderContentType), there.Data) {
		return &problem{status: http.StatusConflict, Field: "key", Message: "This key has a good result, which would be lost.",
			Fix: "Drop the letter."}
	}
	results, err := p.js.Stream(ctx, queue.ResultsStream())
	if err == nil {
		err = results.DeleteMsg(ctx, there.Sequence) // and not one that came meanwhile
	}
	if err != nil {
		return natsProblem(queue, err)
	}
	return nil
}

// again is the request of a dead letter. Its id is of the letter: the server drops it when it is retried twice.
func again(dead *jetstream.RawStreamMsg, queue wire.Queue, key string) *nats.Msg {
	msg := nats.NewMsg(queue.Jobs())
	msg.Data = dead.Data
	for name, values := range dead.Header {
		if !strings.HasPrefix(name, "Nats-") {
			msg.Header[name] = values
		}
	}
	for _, name := range []string{wire.HeaderKind, wire.HeaderMessage, wire.HeaderDeliveries} {
		msg.Header.Del(name)
	}
	msg.Header.Set(wire.HeaderKey, key)
	msg.Header.Set(wire.HeaderMsgID, fmt.Sprintf("%s retry %d", key, dead.Sequence))
	return msg
}

// drop deletes a dead letter.
func (p *Page) drop(r *http.Request) (any, error) {
	queue, key, err := actOn(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	dead, err := p.message(ctx, queue, queue.DeadStream(), queue.Dead(key))
	if err != nil {
		return nil, err
	}
	return p.deleteLetter(ctx, queue, key, dead.Sequence)
}

// deleteLetter deletes by sequence, so that it leaves one of the same key that came meanwhile: what is retried may be given up again
// at once.
func (p *Page) deleteLetter(ctx context.Context, queue wire.Queue, key string, sequence uint64) (any, error) {
	defer p.lists.forget(queue)
	s, err := p.js.Stream(ctx, queue.DeadStream())
	if err == nil {
		err = s.DeleteMsg(ctx, sequence)
	}
	if err != nil {
		last, lookup := p.message(ctx, queue, queue.DeadStream(), queue.Dead(key))
		var known *problem
		gone := errors.As(lookup, &known) && known.status == http.StatusNotFound || lookup == nil && last.Sequence != sequence
		if !gone {
			return nil, natsProblem(queue, err)
		}
	}
	return map[string]any{"queue": queue, "key": key}, nil
}
