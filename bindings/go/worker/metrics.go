package worker

import (
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// Handler serves /metrics for Prometheus, /healthz, which is well while the worker runs, and /readyz, which is well while it takes
// jobs.
func (w *Worker) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	labels := prometheus.Labels{"queue": string(w.queue), "worker": w.o.Name}
	prometheus.WrapRegistererWith(labels, registry).MustRegister(newCollector(w))
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, w.healthy()) })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, w.ready()) })
	return mux
}

// answer says "ok", or what is wrong.
func answer(rw http.ResponseWriter, wrong string) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if wrong != "" {
		rw.WriteHeader(http.StatusServiceUnavailable)
		rw.Write([]byte(wrong + "\n"))
		return
	}
	rw.Write([]byte("ok\n"))
}

func (w *Worker) healthy() string {
	if w.life.Err() != nil {
		return "the worker has ended"
	}
	return ""
}

func (w *Worker) ready() string {
	if wrong := w.healthy(); wrong != "" {
		return wrong
	}
	if status := w.nc.Status(); status != nats.CONNECTED {
		return "the connection to the NATS server is " + status.String()
	}
	for _, trouble := range []*trouble{&w.interpreters, &w.recording} {
		if wrong := trouble.is(); wrong != "" {
			return wrong
		}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.state != wire.StateServing {
		return "the worker is " + w.state
	}
	if since := time.Since(w.seen); since > 4*askEvery {
		return "JetStream has not answered for " + since.Round(time.Second).String()
	}
	return ""
}

// A collector tells the counts as metrics.
type collector struct {
	w *Worker

	jobs, retries, duplicates, dead, returned   *prometheus.Desc
	running, held, parallel, pending, connected *prometheus.Desc
	run, wait                                   *prometheus.Desc
	interpreters, replaced, crashed             *prometheus.Desc
}

func newCollector(w *Worker) *collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("subpy_worker_"+name, help, labels, nil)
	}
	return &collector{
		w:            w,
		jobs:         describe("jobs_total", "Jobs whose result this worker has recorded, by the kind of error (empty: none).", "kind"),
		retries:      describe("retries_total", "Tries that failed and were followed by another."),
		duplicates:   describe("duplicates_total", "Jobs that were dropped because their key had a result."),
		dead:         describe("dead_letters_total", "Dead letters recorded."),
		returned:     describe("returned_total", "Jobs given back to the server, retries among them."),
		running:      describe("running", "Jobs that run now."),
		held:         describe("held", "Jobs fetched and not begun."),
		parallel:     describe("parallel", "Jobs that can run at a time."),
		pending:      describe("queue_pending", "Jobs of the queue that no worker holds, as the server last said."),
		connected:    describe("connected", "1 while there is a connection to the NATS server."),
		run:          describe("run_seconds", "How long tries ran."),
		wait:         describe("wait_seconds", "How long jobs waited from their submission until they began."),
		interpreters: describe("interpreters", "Interpreters that run jobs."),
		replaced:     describe("interpreters_replaced_total", "Interpreters replaced since the code was loaded."),
		crashed:      describe("interpreters_crashed_total", "Of those, the ones whose process ended."),
	}
}

func (c *collector) Describe(to chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, to)
}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(desc *prometheus.Desc, n float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n)
	}
	w := c.w
	counter(c.jobs, w.counts.done.Load(), "")
	failures, _ := w.counts.failures()
	for kind, n := range failures {
		counter(c.jobs, n, kind)
	}
	counter(c.retries, w.counts.retried.Load())
	counter(c.duplicates, w.counts.duplicates.Load())
	counter(c.dead, w.counts.dead.Load())
	counter(c.returned, w.counts.returned.Load())

	status := w.Status()
	gauge(c.running, float64(status.Running))
	gauge(c.held, float64(status.Held))
	gauge(c.parallel, float64(status.Parallel))
	connected := 0.0
	if w.nc.IsConnected() {
		connected = 1
	}
	gauge(c.connected, connected)
	w.lock.Lock()
	pending, code := w.pending, w.code
	w.lock.Unlock()
	gauge(c.pending, float64(pending))
	to <- c.histogram(c.run, &w.counts.ran)
	to <- c.histogram(c.wait, &w.counts.waited)
	if stats, err := code.pool.Stats(); err == nil {
		gauge(c.interpreters, float64(stats.Workers))
		counter(c.replaced, stats.Replaced)
		counter(c.crashed, stats.Crashed)
	} else {
		gauge(c.interpreters, 0)
	}
}

func (c *collector) histogram(desc *prometheus.Desc, h *histogram) prometheus.Metric {
	counts, sum := h.read()
	buckets := make(map[float64]uint64, len(bounds))
	all := uint64(0)
	for i, bound := range bounds {
		all += counts[i]
		buckets[bound] = all
	}
	return prometheus.MustNewConstHistogram(desc, all+counts[len(bounds)], sum, buckets)
}
