package page

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const readTimeout = 5 * time.Second

// readBack reads the newest messages of a stream, newest first: at most so many, and about so many bytes.
func (p *Page) readBack(ctx context.Context, stream string, most int, bytes uint64) ([]jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, err := p.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	has := s.CachedInfo().State
	if has.Msgs == 0 {
		return nil, nil
	}
	if size := has.Bytes/has.Msgs + 1; size*uint64(most) > bytes {
		most = int(max(1, bytes/size))
	}
	// Messages that were removed leave gaps, so the newest may lie in a longer range than there are of them.
	for span := uint64(most); ; span *= 8 {
		first := has.FirstSeq
		if has.LastSeq-first+1 > span {
			first = has.LastSeq - span + 1
		}
		found, err := readFrom(ctx, s, first, most, bytes)
		if err != nil {
			return nil, err
		}
		if len(found) >= min(most, int(has.Msgs)) || first == has.FirstSeq || len(found) > 0 && span >= uint64(most)<<12 {
			return found, nil
		}
	}
}

// readFrom reads a stream from a sequence to its end, and keeps the last messages, newest first.
func readFrom(ctx context.Context, s jetstream.Stream, first uint64, most int, bytes uint64) ([]jetstream.Msg, error) {
	consumer, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 2 * readTimeout})
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		_ = s.DeleteConsumer(ctx, consumer.CachedInfo().Name) // else the server removes it when nobody used it for a while
	}()
	var last []jetstream.Msg
	var size uint64
	left := consumer.CachedInfo().NumPending
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, err := consumer.FetchNoWait(int(min(left, 500)))
		if err != nil {
			return nil, err
		}
		got := false
		for msg := range batch.Messages() {
			got = true
			about, err := msg.Metadata()
			if err != nil {
				return nil, err
			}
			left = about.NumPending
			last, size = append(last, msg), size+uint64(len(msg.Data()))
			for len(last) > most || size > bytes && len(last) > 1 {
				size -= uint64(len(last[0].Data()))
				last[0] = nil
				last = last[1:]
			}
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
		if !got {
			break // they were removed meanwhile
		}
	}
	newest := make([]jetstream.Msg, 0, len(last))
	for i := len(last) - 1; i >= 0; i-- {
		newest = append(newest, last[i])
	}
	return newest, nil
}
