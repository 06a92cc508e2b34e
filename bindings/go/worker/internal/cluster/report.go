package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// print writes the table.
func (r *report) print(to io.Writer) {
	row := func(name, value, remark string) {
		fmt.Fprintln(to, strings.TrimRight(fmt.Sprintf("%-26s%12s   %s", name, value, remark), " "))
	}
	a := r.account
	missing, doubled := a.missing(r.jobs)
	fmt.Fprintln(to)
	row("jobs", grouped(r.jobs.count), fmt.Sprintf("seed %d", r.jobs.seed))
	row("  submitted twice", grouped(r.submitter.doubled.Load()), "")
	row("  published again", grouped(r.submitter.again.Load()),
		fmt.Sprintf("their acknowledgements were lost; %s the servers had already", grouped(r.submitter.dropped.Load())))
	row("results", grouped(a.results), fmt.Sprintf("on each server: %s", perServer(a)))
	row("  missing", grouped(len(missing)), "")
	row("  doubled", grouped(len(doubled)), "")
	row("  wrong", grouped(len(a.wrong)+len(a.strange)), "each was compared with what it has to be")
	row("  errors", grouped(a.errors["exception"]+a.errors["crashed"]),
		fmt.Sprintf("as they have to be: %d exceptions, %d crashes", a.errors["exception"], a.errors["crashed"]))
	row("duplicates refused", grouped(r.events.duplicates.Load()), "jobs that were there again after they had their result, as far as heard")
	row("redeliveries", grouped(a.deliveries), fmt.Sprintf("of %s jobs", grouped(a.redelivered)))
	row(workersKilled, grouped(r.faults.count[workersKilled]), fmt.Sprintf("of %d, with -9", len(r.crew.running)))
	row("workers ended otherwise", grouped(len(r.crew.ended)), strings.Join(r.crew.ended[:min(len(r.crew.ended), 1)], ""))
	row(serversKilled, grouped(r.faults.count[serversKilled]), fmt.Sprintf("of %d, with -9", servers))
	row(linksCut, grouped(r.faults.count[linksCut]), r.network.String())
	row("longest stall", fmt.Sprintf("%.1f s", a.stall.Seconds()), "ended after: "+r.faults.before(a.stallEnd))
	row("time", fmt.Sprintf("%.1f s", r.took.Seconds()), "")
	row("jobs a second", fmt.Sprintf("%.0f", float64(a.results)/r.took.Seconds()), "")
	each := func(role string) float64 {
		return r.cpu[role].Seconds() * 1000 / float64(max(a.results, 1))
	}
	server, worker, python := each("server"), each("worker"), each("worker's children")
	row("CPU of a job", fmt.Sprintf("%.2f ms", server+worker+python),
		fmt.Sprintf("%.2f Python, %.2f workers, %.2f all servers", python, worker, server))
	row("size of a result", fmt.Sprintf("%.0f bytes", float64(a.bytes)/float64(max(a.results, 1))), "as stored by each server")
	if r.sent > 0 {
		row("traffic of a job", fmt.Sprintf("%.1f kB", float64(r.sent)/1000/float64(max(a.results, 1))),
			fmt.Sprintf("sent by all servers; %.1f kB received by them", float64(r.received)/1000/float64(max(a.results, 1))))
	}
}

func perServer(a *account) string {
	var each []string
	for _, n := range a.perServer {
		each = append(each, grouped(n))
	}
	return strings.Join(each, ", ")
}

// A report is all of a run.
type report struct {
	jobs      *jobs
	account   *account
	submitter *submitter
	events    *events
	faults    *faults
	crew      *crew
	network   network
	took      time.Duration
	cpu       map[string]time.Duration

	sent, received uint64 // bytes
}
