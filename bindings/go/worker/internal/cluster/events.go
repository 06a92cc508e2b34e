package main

import (
	"encoding/json"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// Events counts what workers tell. Nobody keeps events: those that are told while a link is cut are not heard.
type events struct {
	begun, duplicates atomic.Int64
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
	return err
}
