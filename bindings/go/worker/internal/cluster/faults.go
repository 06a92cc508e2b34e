package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Faults kill workers and servers and cut links, one server or link at a time, until there are no jobs any more.
type faults struct {
	seed    uint64
	jobs    int
	results atomic.Int64  // that there are
	pace    time.Duration // between two faults of a kind, on average
	cluster *cluster
	crew    *crew
	say     func(format string, arguments ...any)

	mu    sync.Mutex
	count map[string]int // of each kind
	log   []event
}

type event struct {
	at   time.Time
	what string
}

const (
	workersKilled = "workers killed"
	serversKilled = "servers killed"
	linksCut      = "links cut"
)

func (f *faults) note(kind, format string, arguments ...any) {
	what := fmt.Sprintf(format, arguments...)
	f.mu.Lock()
	f.log = append(f.log, event{time.Now(), what})
	if kind != "" {
		f.count[kind]++
	}
	f.mu.Unlock()
	f.say("%s", what)
}

// happened tells whether there has been each kind of fault.
func (f *faults) happened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[workersKilled] > 0 && f.count[serversKilled] > 0 && f.count[linksCut] > 0
}

// before is what had happened last at a time.
func (f *faults) before(at time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := ""
	for _, e := range f.log {
		if e.at.Before(at) {
			last = e.what
		}
	}
	return last
}

// run goes on until the context ends, and leaves everything as it was at its begin.
func (f *faults) run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- f.workers(ctx, rand.New(rand.NewPCG(f.seed, 1<<41))) }()
	go func() { failed <- f.servers(ctx, rand.New(rand.NewPCG(f.seed, 1<<42))) }()
	err := <-failed
	if other := <-failed; err == nil {
		err = other
	}
	return err
}

// pause waits for the next fault: mostly until some results have come since the last one, so that a slow machine gets on as well.
func (f *faults) pause(ctx context.Context, random *rand.Rand) {
	had, impatient := f.results.Load(), random.IntN(4) == 0
	wait(ctx, between(random, f.pace/4, f.pace*3/4))
	late := time.Now().Add(3 * f.pace)
	for !impatient && ctx.Err() == nil && f.results.Load() < had+int64(f.jobs/200) && time.Now().Before(late) {
		wait(ctx, 100*time.Millisecond)
	}
}

func (f *faults) workers(ctx context.Context, random *rand.Rand) error {
	for {
		f.pause(ctx, random)
		if ctx.Err() != nil {
			return nil
		}
		worker, down := random.IntN(len(f.crew.running)), between(random, 100*time.Millisecond, 2*time.Second)
		if !f.crew.kill(worker) {
			continue
		}
		f.note(workersKilled, "%s killed", workerName(worker))
		wait(ctx, down)
		if err := f.crew.start(worker); err != nil {
			return err
		}
	}
}

// servers begins with a kill and a cut, so that each run has both.
func (f *faults) servers(ctx context.Context, random *rand.Rand) error {
	for turn := 0; ; turn++ {
		f.pause(ctx, random)
		if ctx.Err() != nil {
			return nil
		}
		server, cut := random.IntN(servers), random.IntN(5) < 2
		if turn < 2 {
			cut = turn == 1
		}
		down := between(random, time.Second, 6*time.Second)
		if err := f.harm(ctx, server, cut, down); err != nil {
			return err
		}
		// Each of the three is whole again before the next fault, so two of them always are.
		whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		err := f.cluster.healthy(whole, server)
		cancel()
		if err != nil {
			return err
		}
	}
}

func (f *faults) harm(ctx context.Context, server int, cut bool, down time.Duration) error {
	if cut {
		if err := f.cluster.network.Cut(server); err != nil {
			return err
		}
		f.note(linksCut, "link of %s cut for %.1f s", serverName(server), down.Seconds())
		wait(ctx, down)
		return f.cluster.network.Mend(server)
	}
	f.cluster.kill(server)
	f.note(serversKilled, "%s killed for %.1f s", serverName(server), down.Seconds())
	wait(ctx, down)
	return f.cluster.start(server)
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}
