package page

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// submit publishes a request. Whoever sends it sees what becomes of it in their stream of events.
func (p *Page) submit(r *http.Request) (any, error) {
	queue := wire.Queue(r.PathValue("queue"))
	if err := queue.Check(); err != nil {
		return nil, &problem{status: http.StatusBadRequest, Message: err.Error(), Field: "queue"}
	}
	body, err := readBody(r, longestBody)
	if err != nil {
		return nil, err
	}
	request, err := wire.DecodeRequest(wire.JSON, body)
	if err != nil {
		return nil, fieldProblem(err)
	}
	if err := p.reachable(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	if request.Key == "" {
		request.Key = "page-" + strings.ToLower(rand.Text()[:16])
	} else if _, err := p.message(ctx, queue, queue.ResultsStream(), queue.Result(request.Key)); err == nil {
		return nil, &problem{status: http.StatusConflict, Field: "key", Message: "This key has a result already.",
			Fix: "Look it up, or take another key: a key has one result."}
	} else if known := new(problem); !errors.As(err, &known) || known.status != http.StatusNotFound {
		return nil, err
	}
	p.attend()
	p.hub.watch(r.URL.Query().Get("client"), queue, request.Key)
	msg := nats.NewMsg(queue.Jobs())
	if msg.Data, err = request.Encode(wire.JSON); err != nil {
		return nil, fieldProblem(err)
	}
	msg.Header.Set(wire.HeaderContentType, string(wire.JSON))
	msg.Header.Set(wire.HeaderMsgID, request.Key)
	stored, err := p.js.PublishMsg(ctx, msg)
	if err != nil {
		return nil, natsProblem(queue, err)
	}
	if stored.Duplicate {
		return nil, &problem{status: http.StatusConflict, Field: "key", Message: "A job with this key was submitted a moment ago.",
			Fix: "Look it up, or take another key."}
	}
	return map[string]any{"queue": queue, "key": request.Key, "sequence": stored.Sequence}, nil
}

// fieldProblem is an error of a request, for the field that it begins with.
func fieldProblem(err error) error {
	e := &problem{status: http.StatusBadRequest, Message: err.Error()}
	switch field, rest, ok := strings.Cut(err.Error(), ": "); field {
	case "function", "args", "kwargs", "key", "timeout", "deadline", "tries":
		if ok {
			e.Field, e.Message = field, strings.ToUpper(rest[:1])+rest[1:]+"."
		}
	}
	return e
}

// message is the last message of a subject.
func (p *Page) message(ctx context.Context, queue wire.Queue, stream, subject string) (*jetstream.RawStreamMsg, error) {
	if err := p.reachable(); err != nil {
		return nil, err
	}
	s, err := p.js.Stream(ctx, stream)
	if err != nil {
		return nil, natsProblem(queue, err)
	}
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, &problem{status: http.StatusNotFound, Field: "key", Message: fmt.Sprintf("There is nothing for the key %q.", wire.LastToken(subject)),
			Fix: "It may not be done yet, or the queue or the key is another one."}
	}
	if err != nil {
		return nil, natsProblem(queue, err)
	}
	return msg, nil
}

// A resultView is a result, with its value as a text for people beside it.
type resultView struct {
	Result  json.RawMessage `json:"result"`
	Text    string          `json:"text"`
	TextCut bool            `json:"text_cut"`
}

// getResult answers with the result of a key. Whoever names their stream of events is told there what happens to the key.
func (p *Page) getResult(r *http.Request) (any, error) {
	queue, key, err := queueAndKey(r)
	if err != nil {
		return nil, err
	}
	p.hub.watch(r.URL.Query().Get("client"), queue, key)
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	msg, err := p.message(ctx, queue, queue.ResultsStream(), queue.Result(key))
	if err != nil {
		return nil, err
	}
	content, err := wire.ContentOf(msg.Header.Get(wire.HeaderContentType))
	if err != nil {
		return nil, unreadable("result", err)
	}
	result, err := wire.DecodeResult(content, msg.Data)
	if err != nil {
		return nil, unreadable("result", err)
	}
	view := resultView{}
	if result.Error == nil {
		view.Text, view.TextCut = textOf(result.Value)
	}
	if view.Result, err = result.Encode(wire.JSON); err != nil { // of MessagePack, with what JSON does not have
		result.Value = fmt.Sprint(result.Value)
		if view.Result, err = result.Encode(wire.JSON); err != nil {
			return nil, unreadable("result", err)
		}
	}
	return view, nil
}

func unreadable(what string, err error) error {
	return &problem{status: http.StatusUnprocessableEntity, Message: fmt.Sprintf("What is stored for this key is no %s: %v.", what, err),
		Fix: "Something other than a worker put it there, or a newer worker did."}
}

// cancelJob publishes that the jobs of a key are to be cancelled.
func (p *Page) cancelJob(r *http.Request) (any, error) {
	queue, key, err := actOn(r)
	if err != nil {
		return nil, err
	}
	if err := p.reachable(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	if _, err := p.js.Publish(ctx, queue.Cancel(key), nil); err != nil {
		return nil, natsProblem(queue, err)
	}
	return map[string]any{"queue": queue, "key": key}, nil
}
