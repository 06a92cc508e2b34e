// Bench-cluster runs the same jobs through workers for NATS JetStream, through dramatiq with Redis, and through a bare
// ProcessPoolExecutor, and compares what they do in a second and what a job costs. The script bench/run builds what it needs.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/internal/process"
)

//go:embed *.py
var code embed.FS

type options struct {
	rounds  int
	noop    int
	busy    int
	workers []int
	only    string

	flight   int
	remember int

	server, worker, redis, python, wheels string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("bench-cluster", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "how often each is measured, in turn; the medians count")
	flags.IntVar(&o.noop, "noop", 3000, "so many jobs that do nothing")
	flags.IntVar(&o.busy, "busy", 300, "so many jobs that compute")
	workers := flags.String("workers", "1,2,4", "numbers of workers")
	flags.StringVar(&o.only, "only", "", "measure the systems alone that have this in their names")
	flags.IntVar(&o.flight, "flight", 32, "so many jobs at a time in each worker of \"messages alone\"")
	flags.IntVar(&o.remember, "remember", 0, "measure nothing but the memory of a server that has so many results")
	flags.StringVar(&o.server, "server", "", "the program nats-server")
	flags.StringVar(&o.worker, "worker", "", "the program subpy-worker-nats")
	flags.StringVar(&o.redis, "redis", "redis-server", "the program redis-server")
	flags.StringVar(&o.python, "python", os.Getenv("SUBPY_PYTHON"), "the Python of all of them")
	flags.StringVar(&o.wheels, "wheels", "", "the folder with dramatiq and redis for Python")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	for _, text := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-workers has %q, and has to be numbers such as 1,2,4", text)
		}
		o.workers = append(o.workers, n)
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.noop < 1 || o.busy < 1 || o.flight < 1 {
		return o, errors.New("-rounds, -noop, -busy and -flight have to be 1 or more, and there are no other arguments")
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-cluster:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if o.remember > 0 {
		err = remember(ctx, o, os.Stdout)
	} else {
		err = measure(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-cluster:", err)
		os.Exit(1)
	}
}

// measure runs all systems in turn, so often, and prints the table.
func measure(ctx context.Context, o options) (err error) {
	folder, err := os.MkdirTemp("", "subpy-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	names, err := code.ReadDir(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := code.ReadFile(name.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name.Name()), text, 0o600); err != nil {
			return err
		}
	}
	found := newTable(o)
	var failed []error
	for round := range o.rounds {
		for _, workers := range o.workers {
			for _, s := range systems {
				if !strings.Contains(s.name, o.only) {
					continue
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %d workers\n", round+1, o.rounds, s.name, workers)
				if err := one(ctx, o, folder, s, workers, found); err != nil {
					failed = append(failed, fmt.Errorf("round %d: %s with %d workers: %w", round+1, s.name, workers, err))
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
	}
	found.print(os.Stdout)
	return errors.Join(failed...)
}

// one starts a system, warms it up, and has it do the jobs of both kinds.
func one(ctx context.Context, o options, folder string, s system, workers int, found *table) (err error) {
	room, err := os.MkdirTemp(folder, "room-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group := process.NewGroup()
	defer func() {
		cancel()
		group.Close()
		err = errors.Join(err, os.RemoveAll(room))
	}()
	log, err := os.Create(filepath.Join(room, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	defer func() {
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-3000):])
		}
	}()
	do, err := s.start(&place{ctx, o, folder, room, group, log}, workers)
	if err != nil {
		return err
	}
	for _, kind := range s.kinds {
		if _, err := do(kind, 20*workers); err != nil {
			return err
		}
	}
	for _, kind := range s.kinds {
		count := map[string]int{"noop": o.noop, "busy": o.busy}[kind]
		before, own := group.CPU(), ownCPU()
		took, err := do(kind, count)
		if err != nil {
			return err
		}
		after := group.CPU()
		for role := range after {
			after[role] -= before[role]
		}
		after["client"] += ownCPU() - own
		found.add(s.name, kind, workers, run{count, took, after})
	}
	return ctx.Err()
}

// A place is where a system is started.
type place struct {
	ctx    context.Context
	o      options
	code   string // folder of the Python files
	folder string // for data
	group  *process.Group
	log    *os.File
}

// ownCPU is what this process has used: for workers, the client is in it.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
