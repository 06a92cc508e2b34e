package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// startMessages has goroutines say to the servers what a worker says for each job, and run nothing. What is left
// is the servers' part. Each of the workers has as many jobs in flight as the option says.
func startMessages(p *place, servers, workers int) (do, error) {
	urls, err := startServers(p, servers)
	if err != nil {
		return nil, err
	}
	conn, js, err := connect(urls)
	if err != nil {
		return nil, err
	}
	if err := makeStreams(p, conn, urls, servers); err != nil {
		return nil, err
	}
	for range workers {
		if err := pretend(p, strings.Join(urls, ",")); err != nil {
			return nil, err
		}
	}
	return submits(p, js), nil
}

// makeStreams has a real worker make the streams, and end.
func makeStreams(p *place, conn *nats.Conn, urls []string, servers int) error {
	folder, err := os.MkdirTemp(p.folder, "code-")
	if err != nil {
		return err
	}
	if err := os.WriteFile(folder+"/jobs.py", []byte("def noop(number): return number\n"), 0o600); err != nil {
		return err
	}
	arrived := arrivals(conn)
	worker, err := p.group.Start("maker", nil, p.log, p.o.worker, "--nats", strings.Join(urls, ","), "--queue", string(queue),
		"--replicas", strconv.Itoa(servers), "--http", "off", folder)
	if err != nil {
		return err
	}
	if err := arrived(1); err != nil {
		return err
	}
	return worker.Stop(20 * time.Second)
}

// pretend fetches jobs until the context ends, with a connection of its own.
func pretend(p *place, urls string) error {
	conn, err := nats.Connect(urls)
	if err != nil {
		return err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	consumer, err := js.Consumer(p.ctx, queue.JobsStream(), wire.Consumer)
	if err != nil {
		return err
	}
	results, err := js.Stream(p.ctx, queue.ResultsStream())
	if err != nil {
		return err
	}
	context.AfterFunc(p.ctx, conn.Close)
	go func() {
		for p.ctx.Err() == nil {
			batch, err := consumer.Fetch(p.o.flight, jetstream.FetchMaxWait(time.Second))
			if err != nil {
				return
			}
			var all sync.WaitGroup
			for msg := range batch.Messages() {
				all.Go(func() {
					if err := answer(p.ctx, js, results, msg); err != nil && p.ctx.Err() == nil {
						fmt.Fprintln(p.log, err)
					}
				})
			}
			all.Wait()
		}
	}()
	return nil
}

// answer is what a worker does around a call: it looks for a result, records one, acknowledges, and tells that twice.
func answer(ctx context.Context, js jetstream.JetStream, results jetstream.Stream, msg jetstream.Msg) error {
	request, err := wire.DecodeRequest(wire.JSON, msg.Data())
	if err != nil {
		return err
	}
	subject := queue.Result(request.Key)
	if _, err := results.GetLastMsgForSubject(ctx, subject); !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%s has a result: %w", request.Key, err)
	}
	event := make([]byte, 200)
	if err := js.Conn().Publish(queue.Events(request.Key), event); err != nil {
		return err
	}
	number, err := strconv.Atoi(request.Key[strings.IndexByte(request.Key, '-')+1:])
	if err != nil {
		return err
	}
	result := wire.Result{Key: request.Key, Queue: string(queue), Function: request.Function, Status: wire.StatusOK, Value: number,
		Worker: "worker-1", Deliveries: 1, Submitted: time.Now(), Started: time.Now(), Finished: time.Now(), Seconds: 0.001}
	body, err := result.Encode(wire.JSON)
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, subject, body, jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
		return err
	}
	if err := msg.Ack(); err != nil {
		return err
	}
	return js.Conn().Publish(queue.Events(request.Key), event)
}
