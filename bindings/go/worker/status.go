package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	statusEvery = time.Second
	askEvery    = 5 * time.Second
	longestDoc  = 300
	mostListed  = 200 // functions
)

// report says each second what the worker does.
func (w *Worker) report() {
	w.publishStatus(false)
	w.each(statusEvery, func() { w.publishStatus(false) })
}

// askOften asks the server now and then what the time is and how many jobs wait.
func (w *Worker) askOften() {
	w.each(askEvery, func() {
		if err := w.ask(w.life); err != nil && w.life.Err() == nil {
			w.log.Debug("the server was asked about the consumer", "error", err)
		}
		if w.cancelsFailed.Swap(false) {
			w.restore(w.life)
		}
		w.forgetCancels()
	})
}

func (w *Worker) each(period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-w.life.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// ask asks the server for the state of the consumer.
func (w *Worker) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	asked := w.clock.mono()
	info, err := w.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("the consumer %s of %s: %w", wire.Consumer, w.queue.JobsStream(), explain(err, w.o.Replicas))
	}
	w.clock.told(info.TimeStamp, asked, w.clock.mono())
	w.lock.Lock()
	defer w.lock.Unlock()
	w.pending, w.seen = info.NumPending, time.Now()
	return nil
}

// Status is what the worker says of itself.
func (w *Worker) Status() wire.Worker {
	host, _ := os.Hostname()
	_, failed := w.counts.failures()
	status := wire.Worker{Worker: w.o.Name, Queue: string(w.queue), Host: host, PID: os.Getpid(), Version: subpy.Version(), Started: w.begun.UTC(),
		Time: w.clock.now().UTC(), Parallel: w.o.Parallel, Done: w.counts.done.Load(), Failed: failed, Retried: w.counts.retried.Load(),
		Dead: w.counts.dead.Load(), Duplicates: w.counts.duplicates.Load(), Ran: w.counts.ran.wire(), Waited: w.counts.waited.wire()}
	w.lock.Lock()
	defer w.lock.Unlock()
	status.State = w.state
	for _, j := range w.held {
		if j.begun.Load() {
			status.Running++
		} else {
			status.Held++
		}
	}
	functions := w.code.functions
	for _, f := range functions[:min(len(functions), mostListed)] {
		f.Doc, f.Signature = firstOf(f.Doc, longestDoc), firstOf(f.Signature, longestDoc)
		status.Functions = append(status.Functions, f)
	}
	return status
}

func (w *Worker) publishStatus(leaving bool) {
	status := w.Status()
	status.Leaving = leaving
	body, err := json.Marshal(status)
	if err == nil {
		err = w.nc.Publish(w.queue.Worker(w.o.Name), body)
	}
	if err != nil {
		w.log.Debug("the worker's status", "error", err)
	}
}
