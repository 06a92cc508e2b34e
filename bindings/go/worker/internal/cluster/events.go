package main

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// Events counts what workers tell. Nobody keeps events: those that are told while a link is cut are not heard.
type events struct {
	begun, duplicates atomic.Int64

	workers sync.Map // when each was last heard
}

func (e *events) listen(conn *nats.Conn) error {
	_, err := conn.Subscribe(wire.Queue(queue).Events("*"), func(msg *nats.Msg) {
		var told wire.Event
		if json.Unmarshal(msg.Data, &told) != nil {
			return
		}
		switch told.Event {
		case wire.EventStarted:
			e.begun.Add(1)
		case wire.EventDuplicate:
			e.duplicates.Add(1)
		}
	})
	if err != nil {
		return err
	}
	_, err = conn.Subscribe(wire.Queue(queue).Worker("*"), func(msg *nats.Msg) {
		e.workers.Store(wire.LastToken(msg.Subject), time.Now())
	})
	return err
}

// hear waits until each of the workers has told that it is there.
func (e *events) hear(ctx context.Context, workers int) {
	begin := time.Now()
	for worker := range workers {
		for ctx.Err() == nil {
			if at, ok := e.workers.Load(workerName(worker)); ok && at.(time.Time).After(begin) {
				break
			}
			wait(ctx, 100*time.Millisecond)
		}
	}
}
