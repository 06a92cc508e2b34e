package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/internal/process"
)

// remember fills a stream with results, and says what memory and what disk a server needs for them.
func remember(ctx context.Context, o options, to io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "subpy-bench-")
	if err != nil {
		return err
	}
	group := process.NewGroup()
	defer func() {
		group.Close()
		err = errors.Join(err, os.RemoveAll(folder))
	}()
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	p := &place{ctx, o, folder, folder, group, log}
	urls, err := startServers(p, 1)
	if err != nil {
		return err
	}
	conn, err := nats.Connect(urls[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		return err
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: queue.ResultsStream(), Subjects: []string{queue.Result("*")},
		MaxMsgsPerSubject: 1, AllowDirect: true, Storage: jetstream.FileStorage})
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "| results | resident memory of the server | stored |\n|---|---|---|\n")
	body := []byte(strings.Repeat("x", 600))
	steps := 4
	for step := range steps + 1 {
		info, err := stream.Info(ctx)
		if err != nil {
			return err
		}
		resident, err := residentMemory(group)
		if err != nil {
			return err
		}
		fmt.Fprintf(to, "| %d | %d MB | %d MB |\n", info.State.Msgs, resident>>20, info.State.Bytes>>20)
		if step == steps {
			return nil
		}
		for number := range o.remember / steps {
			if _, err := js.PublishAsync(queue.Result(fmt.Sprintf("order-%d-%08d", step, number)), body, patient); err != nil {
				return err
			}
		}
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(time.Minute):
			return errors.New("the server has not stored all in a minute")
		}
		time.Sleep(10 * time.Second) // its cache of what was written last goes
	}
	return nil
}

func residentMemory(group *process.Group) (uint64, error) {
	for _, line := range group.Left() {
		pid, _, _ := strings.Cut(line, " ")
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			return 0, err
		}
		for _, row := range strings.Split(string(status), "\n") {
			if size, ok := strings.CutPrefix(row, "VmRSS:"); ok {
				kilobytes, err := strconv.ParseUint(strings.Fields(size)[0], 10, 64)
				return kilobytes << 10, err
			}
		}
	}
	return 0, errors.New("no server runs")
}
