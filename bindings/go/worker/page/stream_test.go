package page

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// A listener reads server-sent events.
type listener struct {
	t      *testing.T
	body   io.Closer
	lines  *bufio.Scanner
	client string
}

func listen(t *testing.T, url string) *listener {
	t.Helper()
	response, err := http.Get(url + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("events: %d, %s", response.StatusCode, kind)
	}
	l := &listener{t: t, body: response.Body, lines: bufio.NewScanner(response.Body)}
	l.lines.Buffer(nil, 4<<20)
	var hello struct{ Client string }
	l.next("hello", &hello, func() bool { return true })
	l.client = hello.Client
	return l
}

// read hands over one event after the other until it is done.
func (l *listener) read(looksFor string, done func(name, data string) bool) {
	l.t.Helper()
	end := time.AfterFunc(patience, func() { l.body.Close() })
	defer end.Stop()
	for l.lines.Scan() {
		if name, ok := strings.CutPrefix(l.lines.Text(), "event: "); ok {
			l.lines.Scan()
			if done(name, strings.TrimPrefix(l.lines.Text(), "data: ")) {
				return
			}
		}
	}
	l.t.Fatalf("the stream ended before %s: %v", looksFor, l.lines.Err())
}

func (l *listener) decode(data string, to any) {
	l.t.Helper()
	if err := json.Unmarshal([]byte(data), to); err != nil {
		l.t.Fatal(err)
	}
}

// next reads until an event of a name that is the one looked for. What comes before it is lost.
func (l *listener) next(name string, to any, right func() bool) {
	l.t.Helper()
	l.read("the event "+name, func(got, data string) bool {
		if got != name {
			return false
		}
		l.decode(data, to)
		return right()
	})
}

func TestEvents(t *testing.T) {
	nc, js := startNATS(t)
	p, s := startPage(t, nc, js, Options{})
	startFake(t, nc, js, "default", "w1")
	l := listen(t, s.URL)
	var now state
	l.next("state", &now, func() bool { return len(now.Workers) == 1 && now.Nats.Connected })
	body := `{"function":"demo.add","args":[1,1],"key":"watched"}`
	if status := ask(t, "POST", s.URL+"/api/queues/default/jobs?client="+l.client, body, nil); status != http.StatusOK {
		t.Fatal("submit:", status)
	}
	var e jobEvent
	l.next("job", &e, func() bool { return e.Key == "watched" && e.Event.Event == wire.EventStarted })
	l.next("job", &e, func() bool { return e.Event.Event == wire.EventFinished && e.Status == wire.StatusOK })
	l.next("state", &now, func() bool { return now.Total.Done == 1 })

	// Of many events a sample comes, with how many are missing; those of a watched key all come.
	for i := range 1000 {
		p.hub.happened(jobEvent{Queue: "default", Event: wire.Event{Event: wire.EventFinished, Key: fmt.Sprintf("k%d", i), Status: wire.StatusOK}})
	}
	p.hub.happened(jobEvent{Queue: "default", Event: wire.Event{Event: wire.EventRetrying, Key: "watched"}})
	retrying, seen, missed := false, 0, 0
	l.read("all events", func(name, data string) bool {
		switch name {
		case "job":
			var e jobEvent
			l.decode(data, &e)
			retrying = retrying || e.Event.Event == wire.EventRetrying
		case "jobs": // a busy machine makes several of them
			var batch struct {
				Events []jobEvent
				Missed int
			}
			l.decode(data, &batch)
			if len(batch.Events) > mostInBatch {
				t.Errorf("%d events came at once", len(batch.Events))
			}
			seen, missed = seen+len(batch.Events), missed+batch.Missed
		}
		return retrying && seen+missed >= 1001
	})
	if missed < 1000-4*mostInBatch {
		t.Errorf("%d events came, and %d were missed", seen, missed)
	}

	p.Close()
	if l.lines.Scan(); l.lines.Err() != nil {
		t.Error("the stream did not end:", l.lines.Err())
	}
	refused(t, http.StatusServiceUnavailable, "", "GET", s.URL+"/api/state", "")
}

// Without NATS the page says so, and soon.
func TestNoNATS(t *testing.T) {
	nc, js, server := startServer(t)
	_, s := startPage(t, nc, js, Options{})
	makeStreams(t, js, "default")
	var whole wholeState
	ask(t, "GET", s.URL+"/api/state", "", &whole)
	server.Shutdown()
	begin := time.Now()
	l := listen(t, s.URL)
	var now state
	l.next("state", &now, func() bool { return !now.Nats.Connected && len(now.Queues) == 1 })
	for _, path := range []string{"/api/state", "/api/failures", "/api/dead"} {
		if status := ask(t, "GET", s.URL+path, "", nil); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	refused(t, http.StatusServiceUnavailable, "", "GET", s.URL+"/api/queues/default/results/k", "")
}

func TestManyBrowsers(t *testing.T) {
	nc, js := startNATS(t)
	p, s := startPage(t, nc, js, Options{})
	for range 20 {
		listen(t, s.URL)
	}
	for p.hub.count() < mostBrowsers {
		if p.hub.join() == nil {
			t.Fatal("there was no room")
		}
	}
	refused(t, http.StatusServiceUnavailable, "", "GET", s.URL+"/api/events", "")
}

// A browser that does not read holds nobody up, and is left after a while.
func TestSlowBrowser(t *testing.T) {
	nc, js := startNATS(t)
	p, err := New(nc, js, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.sending = 2 * time.Second
	s := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); s.Close() })
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	until(t, "the browser", func() bool { return p.hub.count() == 1 })
	begin := time.Now()
	big := strings.Repeat("x", 100_000)
	for range 300 { // 30 MB, which no buffer takes
		p.hub.broadcast("state", big)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("the slow browser held the worker up for %v", took)
	}
	l := listen(t, s.URL)
	var now state
	l.next("state", &now, func() bool { return true })
	until(t, "the slow browser gone", func() bool { return p.hub.count() == 1 })
	l.next("state", &now, func() bool { return true }) // and the other one goes on
}

func TestBoundsOfTheModel(t *testing.T) {
	m := newModel()
	now := time.Now()
	for i := range mostQueues + 50 {
		m.workerSaid(wire.Queue(fmt.Sprintf("q%d", i)), "w", []byte(`{}`), now)
	}
	if len(m.queues) != mostQueues {
		t.Errorf("%d queues", len(m.queues))
	}
	var functions []wire.Function
	for i := range mostFunctions * 3 {
		functions = append(functions, wire.Function{Name: fmt.Sprintf("m.f%d", i), Doc: strings.Repeat("d", 10_000)})
	}
	body, err := json.Marshal(wire.Worker{Functions: functions[:mostFunctions+100]})
	if err != nil {
		t.Fatal(err)
	}
	for i := range mostWorkers + 50 {
		said := body
		if i > 0 {
			said = []byte(`{"functions":[{"name":"m.f1"}]}`)
		}
		m.workerSaid("q0", fmt.Sprintf("w%d", i), said, now)
	}
	if q := m.queues["q0"]; len(m.workers) != mostWorkers || len(q.functions) != mostFunctions || len(q.functions["m.f2"].Doc) > longestDoc+10 {
		t.Errorf("%d workers, %d functions", len(m.workers), len(q.functions))
	}
	for range seconds + 50 {
		m.tick(now)
	}
	if n := len(m.total.points); n != seconds {
		t.Errorf("%d seconds of history", n)
	}
	for i := range 2 * mostFailures {
		m.failed("q0", failure{Key: fmt.Sprintf("k%d", i)})
	}
	if f := m.queues["q0"].failed; len(f.list) != mostFailures || f.list[0].Key != fmt.Sprintf("k%d", 2*mostFailures-1) {
		t.Errorf("%d failures, the newest %q", len(f.list), f.list[0].Key)
	}
	m.tick(now.Add(lostAfter + goneAfter + time.Second))
	if len(m.workers) != 0 || len(m.queues) != 0 {
		t.Errorf("%d workers and %d queues are still there", len(m.workers), len(m.queues))
	}
}

// What others send is no reason to fail.
func TestStrangeMessages(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	l := listen(t, s.URL)
	for _, body := range []string{`{"ran":{"bounds":[1e308],"counts":[1,0]}}`, `{"ran":{"bounds":[1e308],"counts":[2,0]}}`,
		`{"waited":{"bounds":[-1,1],"counts":[2,0,0]}}`, ``, `{`, `[]`, `null`, `{"functions":7}`, `{"functions":[null,{"name":""}],"ran":{"bounds":[2,1],"counts":[1]}}`,
		`{"ran":{"bounds":[1],"counts":[1,2]},"done":5,"functions":[{"name":"a.b"},{"name":"a.b"}]}`, `{"ran":{"bounds":[1,2],"counts":[9,9,9]},"done":3}`} {
		for _, subject := range []string{"subpy.1.q.workers.w", "subpy.1.q q.workers.w", "subpy.1.q.events.k", "subpy.1.q.events.k!"} {
			_ = nc.Publish(subject, []byte(body)) // a subject that is none is refused here
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var whole wholeState
	until(t, "the worker", func() bool {
		return ask(t, "GET", s.URL+"/api/state", "", &whole) == http.StatusOK && len(whole.Workers) == 1
	})
	for range 3 { // seconds whose percentiles have what was counted
		var now state
		l.next("state", &now, func() bool { return len(now.Workers) == 1 })
	}
}

// What has no form in JSON is not sent, and the log says so.
func TestNoJSON(t *testing.T) {
	var log bytes.Buffer
	h := newHub(slog.New(slog.NewTextHandler(&log, nil)))
	b := h.join()
	h.broadcast("state", math.Inf(1))
	h.broadcast("state", 1)
	if message := string(<-b.out); message != "event: state\ndata: 1\n\n" {
		t.Errorf("it got %q", message)
	}
	if !strings.Contains(log.String(), "unsupported value") {
		t.Errorf("the log is %q", &log)
	}
}

func TestPercentiles(t *testing.T) {
	h := func(counts ...uint64) wire.Histogram {
		return wire.Histogram{Bounds: []float64{1, 2, 4}, Counts: counts}
	}
	for _, c := range []struct {
		h    wire.Histogram
		want []float64
	}{
		{h(0, 0, 0, 0), nil},
		{h(100, 0, 0, 0), []float64{0.5, 0.9, 0.99}},
		{h(0, 100, 0, 0), []float64{1.5, 1.9, 1.99}},
		{h(50, 40, 10, 0), []float64{1, 2, 3.8}},
		{h(0, 0, 0, 5), []float64{4, 4, 4}},
	} {
		if got := percentiles(c.h); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("of %v: %v, want %v", c.h.Counts, got, c.want)
		}
	}
	if got := difference(h(1, 2, 3, 4), h(2, 2, 5, 4)); fmt.Sprint(got.Counts) != "[1 0 2 0]" {
		t.Error("the difference is", got.Counts)
	}
	if got := difference(h(9, 2, 3, 4), h(1, 0, 0, 0)); fmt.Sprint(got.Counts) != "[1 0 0 0]" {
		t.Error("after a new start the difference is", got.Counts)
	}
	sum := h(1, 0, 0, 0)
	add(&sum, wire.Histogram{Bounds: []float64{0.5, 1.5}, Counts: []uint64{1, 1, 1}})
	if fmt.Sprint(sum.Counts) != "[2 1 0 1]" {
		t.Error("the sum is", sum.Counts)
	}
}
