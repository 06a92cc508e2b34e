// The command subpy-worker-nats serves Python functions as durable work queues on NATS JetStream; docs/worker.md describes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"github.com/subpy/subpy/bindings/go/worker"
)

func main() {
	settings, err := readSettings(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "subpy-worker-nats: %v\nsubpy-worker-nats --help lists the options.\n", err)
		os.Exit(2)
	}
	if err := run(settings); err != nil {
		fmt.Fprintf(os.Stderr, "subpy-worker-nats: %v\n", err)
		os.Exit(1)
	}
}

func run(s *settings) error {
	log := s.logger()
	slog.SetDefault(log)
	s.options.Logger = log
	ctx, stop := onSignals(log)
	defer stop()
	reloads, ignore := onHangup()
	defer ignore()
	endTraces, err := startTraces(ctx, &s.options, log)
	if err != nil {
		return err
	}
	defer endTraces()

	nc, endServer, err := s.connect(log)
	if err != nil {
		return err
	}
	defer endServer()
	defer nc.Close()
	w, err := worker.New(ctx, nc, s.options)
	if ctx.Err() != nil {
		return nil // it was told to end before it had begun
	}
	if err != nil {
		return err
	}
	reloads(func() { w.Reload() })
	endHTTP, err := s.serveHTTP(w, nc, log)
	if err != nil {
		return err
	}
	defer endHTTP()
	return w.Run(ctx)
}

// onSignals returns a context that ends with the first SIGINT or SIGTERM. The second one ends the program.
func onSignals(log *slog.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		s := <-signals
		log.Info("ending: the jobs that are here are finished first; a second signal ends at once", "signal", s.String())
		cancel()
		s = <-signals
		log.Warn("ended at once", "signal", s.String())
		os.Exit(1)
	}()
	return ctx, cancel
}

// onHangup takes SIGHUP, which ends a program that does not, from now on. What it is to do is told when that is possible.
func onHangup() (does func(reload func()), stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	does = func(reload func()) {
		go func() {
			for range signals {
				reload()
			}
		}()
	}
	return does, func() {
		signal.Stop(signals)
		close(signals)
	}
}
