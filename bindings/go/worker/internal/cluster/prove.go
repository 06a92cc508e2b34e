package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/internal/process"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// prove sets everything up, runs all jobs, and removes everything again.
func prove(ctx context.Context, o options, to *os.File) (err error) {
	show := newProgress(to, o.verbose)
	files, err := sources(o.python)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "subpy-cluster-")
	if err != nil {
		return err
	}
	defer func() {
		switch {
		case o.keep:
			show.say("logs and data are in %s", folder)
		default:
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	net, err := newNetwork(o.network)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	group := process.NewGroup()
	defer group.Close()

	show.say("%s jobs, seed %d, %d workers, %d servers: %s", grouped(o.jobs), o.seed, o.workers, servers, net)
	servers, err := startCluster(ctx, o, folder, group, net)
	if err != nil {
		return err
	}
	js, err := connect(net)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	crew, err := newCrew(o, folder, urls(net), group)
	if err != nil {
		return err
	}
	r := &report{jobs: &jobs{count: o.jobs, seed: o.seed, files: files}, crew: crew, network: net, events: new(events),
		faults: &faults{seed: o.seed, jobs: o.jobs, pace: o.pace, cluster: servers, crew: crew, say: show.fault, count: map[string]int{}}}
	r.submitter = &submitter{js: js, jobs: r.jobs, rate: o.rate, done: &r.faults.results, last: r.faults.happened}
	if err := r.events.listen(js.Conn()); err != nil {
		return err
	}
	if err := r.run(ctx, o, js, show); err != nil {
		return errors.Join(err, logs(folder))
	}
	show.say("all jobs are done; each result is looked at")
	if err := r.judge(ctx, o, js, filepath.Join(folder, "code")); err != nil {
		return err
	}
	found := r.account.faults(r.jobs)
	there, cancel := context.WithTimeout(ctx, 30*time.Second)
	r.events.hear(there, o.workers)
	cancel()
	for _, err := range crew.drain() {
		if err != nil {
			found = append(found, err.Error())
		}
	}
	js.Conn().Close()
	group.Kill()
	if left := group.Left(); len(left) > 0 {
		found = append(found, "processes are left:\n  "+strings.Join(left, "\n  "))
	}
	r.cpu = group.CPU()
	r.print(to)
	for _, kind := range []string{workersKilled, serversKilled, linksCut} {
		if r.faults.count[kind] == 0 {
			found = append(found, "there were no "+kind+": the run was too short to prove anything, give it more jobs")
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("with the seed %d\n%s\n%w", o.seed, strings.Join(found, "\n"), logs(folder))
	}
	fmt.Fprintf(to, "\nevery job has one result, and it is the right one\n")
	return nil
}

func startCluster(ctx context.Context, o options, folder string, group *process.Group, net network) (*cluster, error) {
	c := &cluster{binary: o.server, folder: folder, group: group, network: net}
	if err := c.configure(); err != nil {
		return nil, err
	}
	for server := range servers {
		if err := c.start(server); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for server := range servers {
		if err := c.healthy(ctx, server); err != nil {
			return nil, errors.Join(err, logs(folder))
		}
	}
	return c, nil
}

func connect(net network) (jetstream.JetStream, error) {
	conn, err := nats.Connect(urls(net), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(time.Second),
		nats.MaxPingsOutstanding(2), nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // what is lost is published again
	if err != nil {
		return nil, err
	}
	return jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*mostOnWay), jetstream.WithPublishAsyncTimeout(3*time.Second))
}

// run has all jobs done, while faults happen.
func (r *report) run(ctx context.Context, o options, js jetstream.JetStream, show *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for worker := range r.crew.running {
		if err := r.crew.start(worker); err != nil {
			return err
		}
	}
	if err := ready(ctx, js); err != nil {
		return err
	}
	start := time.Now()
	submitting := make(chan error, 1)
	go func() { submitting <- r.submitter.run(ctx) }()
	calm, begin := context.WithCancel(ctx)
	failing := make(chan error, 1)
	go func() { failing <- r.faults.run(calm) }()
	err := r.wait(ctx, o, js, show, submitting, failing)
	r.took = time.Since(start)
	r.sent, r.received = r.network.Traffic()
	begin()
	return errors.Join(err, <-failing)
}

// ready waits until the workers have made what they need.
func ready(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := js.Consumer(ctx, wire.Queue(queue).JobsStream(), wire.Consumer)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the workers have made no queue in 30 s: %w", err)
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// wait returns when all jobs are done.
func (r *report) wait(ctx context.Context, o options, js jetstream.JetStream, show *progress, submitting, failing chan error) error {
	q := wire.Queue(queue)
	var results, left uint64
	submitted := false
	changed := time.Now()
	for {
		select {
		case err := <-submitting:
			if err != nil {
				return err
			}
			submitted, submitting = true, nil
		case err := <-failing:
			failing <- nil
			return fmt.Errorf("a fault could not be made or mended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		nowResults, err := messages(ctx, js, q.ResultsStream())
		nowLeft, err2 := messages(ctx, js, q.JobsStream())
		if err == nil && err2 == nil {
			if nowResults != results || nowLeft != left {
				changed = time.Now()
			}
			results, left = nowResults, nowLeft
			r.faults.results.Store(int64(results))
			if submitted && left == 0 {
				return nil
			}
		}
		if time.Since(changed) > o.patience {
			return fmt.Errorf("nothing has happened for %v: %d results of %d jobs, %d in the queue (%w)", o.patience, results, r.jobs.count, left,
				errors.Join(err, err2, r.named(js)))
		}
		r.show(show, int(results))
	}
}

func (r *report) show(show *progress, results int) {
	f := r.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	show.show(results, r.jobs.count, fmt.Sprintf("killed: %d workers, %d servers; links cut: %d", f.count[workersKilled],
		f.count[serversKilled], f.count[linksCut]))
}

func messages(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// judge reads all results and compares them.
func (r *report) judge(ctx context.Context, o options, js jetstream.JetStream, code string) error {
	if err := r.jobs.censusOf(o.python, code); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var err error
	if r.account, err = read(ctx, js, r.jobs); err != nil {
		return err
	}
	same, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.account.compare(same, r.network)
}

// named says which jobs have no result, when not all get one.
func (r *report) named(js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := read(ctx, js, r.jobs)
	if err != nil {
		return err
	}
	missing, _ := a.missing(r.jobs)
	return fmt.Errorf("without a result: %s", strings.Join(missing[:min(len(missing), 50)], " "))
}

// logs are the last lines of each log, for who looks for the cause.
func logs(folder string) error {
	names, _ := filepath.Glob(filepath.Join(folder, "*.log"))
	var text strings.Builder
	for _, name := range names {
		content, _ := os.ReadFile(name)
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		fmt.Fprintf(&text, "\nend of %s\n  %s", filepath.Base(name), strings.Join(lines[max(0, len(lines)-15):], "\n  "))
	}
	return errors.New(text.String())
}
