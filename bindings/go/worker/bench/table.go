package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A run is what one system did with some jobs of a kind.
type run struct {
	count int
	took  time.Duration
	cpu   map[string]time.Duration
}

type cell struct {
	system, kind string
	workers      int
}

type table struct {
	o    options
	runs map[cell][]run
}

func newTable(o options) *table { return &table{o, map[cell][]run{}} }

func (t *table) add(system, kind string, workers int, r run) {
	c := cell{system, kind, workers}
	t.runs[c] = append(t.runs[c], r)
}

// median of a figure of all runs of a cell.
func (t *table) median(c cell, figure func(run) float64) float64 {
	var all []float64
	for _, r := range t.runs[c] {
		all = append(all, figure(r))
	}
	slices.Sort(all)
	if len(all)%2 == 0 {
		return (all[len(all)/2-1] + all[len(all)/2]) / 2
	}
	return all[len(all)/2]
}

func rate(r run) float64 { return float64(r.count) / r.took.Seconds() }

// cost is what a job takes of the processors in programs of some roles, in microseconds.
func cost(roles ...string) func(run) float64 {
	return func(r run) float64 {
		var sum time.Duration
		for _, role := range roles {
			sum += r.cpu[role]
		}
		return float64(sum.Microseconds()) / float64(r.count)
	}
}

func (t *table) print(to io.Writer) {
	fmt.Fprintf(to, "Medians of %d rounds. CPU in microseconds a job; the client of ProcessPoolExecutor and its workers are counted together.\n", t.o.rounds)
	for _, kind := range both {
		fmt.Fprintf(to, "\n| %s | workers | jobs/s | to dramatiq | CPU | of servers | of workers | of their children | of the client |\n|---|---|---|---|---|---|---|---|---|\n", kind)
		for _, s := range systems {
			for _, workers := range t.o.workers {
				t.row(to, cell{s.name, kind, workers})
			}
		}
	}
}

func (t *table) row(to io.Writer, c cell) {
	if len(t.runs[c]) == 0 {
		return
	}
	jobs := t.median(c, rate)
	ratio := "-"
	if other := (cell{"dramatiq, Redis", c.kind, c.workers}); len(t.runs[other]) > 0 {
		ratio = fmt.Sprintf("%.2f", jobs/t.median(other, rate))
	}
	all := cost("server", "server's children", "worker", "worker's children", "client", "client's children")
	fmt.Fprintf(to, "| %s | %d | %.0f | %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", c.system, c.workers, jobs, ratio, t.median(c, all),
		t.median(c, cost("server", "server's children")), t.median(c, cost("worker")), t.median(c, cost("worker's children")),
		t.median(c, cost("client", "client's children")))
}
