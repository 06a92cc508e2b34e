package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"syscall"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// run calls the function. It returns nil when the job is to be given back.
func (j *job) run() *outcome {
	w := j.w
	code := w.currentCode()
	defer code.leave()
	if !code.served[j.request.Function] {
		return &outcome{err: unknown(code, j.request.Function)}
	}
	limit := w.o.Timeout
	if j.request.Timeout > 0 {
		limit = min(limit, j.request.Timeout)
	}
	o := &outcome{started: w.clock.now()}
	w.counts.waited.add(o.started.Sub(j.submitted).Seconds())
	j.event(wire.EventStarted, nil)
	span, traceparent, tracestate := w.startSpan(j)
	var stdout, stderr tail
	ctx := subpy.ContextWithTimeLimit(subpy.ContextWithOutput(j.ctx, &stdout, &stderr), limit)

	begun := w.clock.mono()
	value, err := j.call(ctx, code.pool, traceparent, tracestate)
	o.ran = w.clock.mono() - begun

	w.counts.ran.add(o.ran.Seconds())
	o.stdout, o.stderr = stdout.String(), stderr.String()
	if err == nil {
		o.value, o.err = j.valueOf(value)
	} else {
		var known bool
		if o.err, known = j.errorOf(err, limit); !known {
			if context.Cause(j.ctx) == nil {
				err = explainRun(&w.o, err)
				w.log.Error("a job could not be run, and is given back", "key", j.key, "function", j.request.Function, "error", err)
				w.interpreters.fails("jobs cannot be run: " + middleOut(err.Error(), mostTraceback))
			}
			o = nil
		}
	}
	if o != nil {
		w.interpreters.works()
	}
	if o == nil {
		endSpan(span, &wire.Error{Kind: "returned"})
	} else {
		endSpan(span, o.err)
	}
	return o
}

func unknown(code *code, function string) *wire.Error {
	names := ""
	for i, f := range code.functions {
		if i == 20 {
			names += fmt.Sprintf(", and %d more", len(code.functions)-i)
			break
		}
		if i > 0 {
			names += ", "
		}
		names += f.Name
	}
	return &wire.Error{Kind: wire.KindUnknownFunction, Message: fmt.Sprintf("%.200s is not served here; these are: %s", function, names)}
}

func (j *job) call(ctx context.Context, pool *subpy.Pool, traceparent, tracestate string) (any, error) {
	var deadline any
	if !j.request.Deadline.IsZero() {
		deadline = j.request.Deadline.Format(time.RFC3339Nano)
	}
	about := subpy.Tuple{j.key, string(j.w.queue), j.request.Function, deadline, j.deliveries, traceparent, tracestate}
	if j.content == wire.JSON {
		args, _ := j.request.Args.(json.RawMessage)
		kwargs, _ := j.request.Kwargs.(json.RawMessage)
		return pool.Call(ctx, "subpy_worker:_run_json", j.request.Function, string(args), string(kwargs), about)
	}
	args, kwargs := j.request.Args, j.request.Kwargs
	if args == nil {
		args = []any{}
	}
	if kwargs == nil {
		kwargs = map[string]any{}
	}
	return pool.Call(ctx, "subpy_worker:_run", j.request.Function, args, kwargs, about)
}

// valueOf is what Python has returned: see subpy_worker.py.
func (j *job) valueOf(returned any) (any, *wire.Error) {
	if text, ok := returned.(string); ok {
		return json.RawMessage(text), nil
	}
	tuple, _ := returned.(subpy.Tuple)
	switch len(tuple) {
	case 1:
		value, err := plain(tuple[0])
		if err != nil {
			return nil, &wire.Error{Kind: wire.KindValue, Message: err.Error()}
		}
		return value, nil
	case 3:
		kind, _ := tuple[0].(string)
		name, _ := tuple[1].(string)
		message, _ := tuple[2].(string)
		return nil, &wire.Error{Kind: kind, Type: name, Message: firstOf(message, mostMessage)}
	}
	return nil, &wire.Error{Kind: wire.KindValue, Message: fmt.Sprintf("the value is a %T, which no result has", returned)}
}

// plain is a value without the types of package subpy, which have no form in MessagePack.
func plain(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		return plainItems(v)
	case subpy.Tuple:
		return plainItems(v)
	case map[string]any:
		for key, item := range v {
			item, err := plain(item)
			if err != nil {
				return nil, err
			}
			v[key] = item
		}
	case map[any]any:
		for key, item := range v {
			item, err := plain(item)
			if err != nil {
				return nil, err
			}
			v[key] = item
		}
	case subpy.Dict:
		all := make(map[any]any, len(v))
		for _, entry := range v {
			if entry.Key != nil && !reflect.TypeOf(entry.Key).Comparable() {
				return nil, fmt.Errorf("a dict has a key that is a Go %T, which no key of a map in MessagePack is", entry.Key)
			}
			item, err := plain(entry.Value)
			if err != nil {
				return nil, err
			}
			all[entry.Key] = item
		}
		return all, nil
	}
	return value, nil
}

func plainItems(items []any) (any, error) {
	for i, item := range items {
		item, err := plain(item)
		if err != nil {
			return nil, err
		}
		items[i] = item
	}
	return items, nil
}

// errorOf is the error of a run. It is not known when the fault is not the job's, or the worker ends. A MemoryError of the job's own is an
// exception; ErrNoMemory is also that of a machine which cannot start an interpreter.
func (j *job) errorOf(err error, limit time.Duration) (result *wire.Error, known bool) {
	var (
		exception   *subpy.ExecutionFailedError
		timeout     *subpy.TimeoutError
		interrupted *subpy.InterruptedError
		crash       *subpy.CrashError
	)
	switch {
	case errors.As(err, &exception) && notLoaded(&exception.Exception): // by an interpreter that replaces another one
		return nil, false
	case errors.As(err, &exception):
		e := &exception.Exception
		return &wire.Error{Kind: wire.KindException, Type: typeOf(e), Message: firstOf(e.Message, mostMessage),
			Traceback: middleOut(ownTraceback(e.Display), mostTraceback)}, true
	case errors.As(err, &timeout):
		if stopped := j.stopped(context.Cause(j.ctx)); stopped != nil {
			stopped.Traceback = middleOut(ownTraceback(timeout.Display), mostTraceback)
			return stopped, true
		}
		if j.ctx.Err() != nil {
			return nil, false
		}
		return &wire.Error{Kind: wire.KindTimeout, Message: fmt.Sprintf("it took longer than %v", limit),
			Traceback: middleOut(ownTraceback(timeout.Display), mostTraceback)}, true
	case errors.As(err, &interrupted):
		if stopped := j.stopped(context.Cause(j.ctx)); stopped != nil {
			stopped.Traceback = middleOut(ownTraceback(interrupted.Display), mostTraceback)
			return stopped, true
		}
		if j.ctx.Err() != nil {
			return nil, false
		}
		return &wire.Error{Kind: wire.KindException, Type: "KeyboardInterrupt", Message: firstOf(err.Error(), mostMessage),
			Traceback: middleOut(ownTraceback(interrupted.Display), mostTraceback)}, true
	case errors.As(err, &crash) && crash.Signal == syscall.SIGTERM && j.w.endsSoon(): // sent to all processes of the worker
		j.stop(errDraining)
		return nil, false
	case errors.As(err, &crash):
		return &wire.Error{Kind: wire.KindCrashed, Message: firstOf(crash.Message, mostMessage),
			Traceback: middleOut(crash.Traceback, mostTraceback)}, true
	case errors.Is(err, subpy.ErrNotShareable):
		return &wire.Error{Kind: wire.KindValue, Message: "the value has no form in MessagePack: " + firstOf(err.Error(), mostMessage)}, true
	case errors.Is(err, subpy.ErrInvalidArgument):
		return &wire.Error{Kind: wire.KindInvalid, Message: firstOf(err.Error(), mostMessage)}, true
	}
	return nil, false
}

func typeOf(e *subpy.Exception) string {
	name := e.Qualname
	if name == "" {
		name = e.Type
	}
	if e.Module == "" || e.Module == "builtins" {
		return name
	}
	return e.Module + "." + name
}
