package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const token = "0123456789abcdef-token"

// ask sends a request and reads the JSON answer into to.
func ask(t testing.TB, method, url, body string, to any, headers ...string) int {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to != nil {
		if err := json.Unmarshal(answer, to); err != nil {
			t.Fatalf("%s %s: %d, %v: %.300s", method, url, response.StatusCode, err, answer)
		}
	}
	return response.StatusCode
}

// refused asks for what has to be refused, with something to do about it.
func refused(t *testing.T, status int, field, method, url, body string, headers ...string) {
	t.Helper()
	var answer struct{ Error problem }
	if got := ask(t, method, url, body, &answer, headers...); got != status {
		t.Errorf("%s %s %.100s: %d, want %d: %+v", method, url, body, got, status, answer.Error)
	}
	if answer.Error.Message == "" || answer.Error.Field != field {
		t.Errorf("%s %s %.100s: %+v, want the field %q", method, url, body, answer.Error, field)
	}
}

type view struct {
	Result struct {
		Status string
		Value  json.RawMessage
		Error  *wire.Error
		Stdout string
	}
	Text string
}

func result(t testing.TB, s *httptest.Server, queue, key string) view {
	t.Helper()
	var got view
	until(t, "the result of "+key, func() bool {
		return ask(t, "GET", s.URL+"/api/queues/"+queue+"/results/"+key, "", &got) == http.StatusOK
	})
	return got
}

func TestStateAndJobs(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	var none struct {
		Queues  []numbers
		Workers []workerNumbers
	}
	if status := ask(t, "GET", s.URL+"/api/state", "", &none); status != http.StatusOK || none.Queues == nil || none.Workers == nil {
		t.Fatalf("without a queue: %d, %+v", status, none)
	}
	refused(t, http.StatusNotFound, "queue", "POST", s.URL+"/api/queues/none/jobs", `{"function":"demo.add"}`)
	refused(t, http.StatusNotFound, "queue", "GET", s.URL+"/api/state?queue=none", "")

	f := startFake(t, nc, js, "default", "w1")
	var submitted struct{ Key string }
	if status := ask(t, "POST", s.URL+"/api/queues/default/jobs", `{"function":"demo.add","args":[2,40]}`, &submitted); status != http.StatusOK {
		t.Fatal("submit:", status)
	}
	if got := result(t, s, "default", submitted.Key); got.Text != "42" || got.Result.Stdout != "adding 2 and 40\n" {
		t.Errorf("the result is %+v", got)
	}
	// Numbers keep all of their digits on the way there and back.
	huge := `{"function":"demo.echo","args":[123456789012345678901234567890],"key":"huge","timeout":2.5,"tries":3}`
	ask(t, "POST", s.URL+"/api/queues/default/jobs", huge, nil)
	if got := result(t, s, "default", "huge"); got.Text != "[123456789012345678901234567890]" {
		t.Errorf("the result is %q", got.Text)
	}
	refused(t, http.StatusConflict, "key", "POST", s.URL+"/api/queues/default/jobs", huge)

	ask(t, "POST", s.URL+"/api/queues/default/jobs", `{"function":"demo.fail","key":"failing"}`, nil)
	if got := result(t, s, "default", "failing"); got.Result.Error == nil || !strings.Contains(got.Result.Error.Traceback, "line 12, in fail") {
		t.Errorf("the result is %+v", got)
	}
	var failed struct{ Failures []failure }
	until(t, "the failure in the list", func() bool {
		ask(t, "GET", s.URL+"/api/failures?queue=default", "", &failed)
		return len(failed.Failures) == 1 && failed.Failures[0].Key == "failing" && failed.Failures[0].Kind == "exception"
	})

	var whole wholeState
	until(t, "the rates", func() bool {
		ask(t, "GET", s.URL+"/api/state?queue=default", "", &whole)
		return len(whole.Queues) == 1 && whole.Queues[0].Done == 2 && whole.Queues[0].DoneRate > 0 && whole.Queues[0].FailedRate > 0 &&
			whole.Queues[0].Ran != nil && whole.Queues[0].Results == 3
	})
	if q := whole.Queues[0]; q.Waiting != 0 || q.Workers != 1 || q.Parallel != 4 || len(whole.Functions["default"]) != len(served) {
		t.Errorf("the state is %+v, %v", q, whole.Functions)
	}
	var one struct{ Functions []wire.Function }
	if ask(t, "GET", s.URL+"/api/queues/default/workers/w1", "", &one); len(one.Functions) != len(served) || one.Functions[0].Doc == "" {
		t.Errorf("the worker is %+v", one)
	}
	refused(t, http.StatusNotFound, "", "GET", s.URL+"/api/queues/default/workers/w2", "")

	f.stop()
	until(t, "the worker lost", func() bool {
		ask(t, "GET", s.URL+"/api/state", "", &whole)
		return len(whole.Workers) == 1 && whole.Workers[0].State == stateLost && whole.Queues[0].Workers == 0
	})
}

func TestRequestsThatAreNone(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	makeStreams(t, js, "default")
	jobs := s.URL + "/api/queues/default/jobs"
	for body, field := range map[string]string{
		``:                                   "",
		`[]`:                                 "",
		`{"args":[]}`:                        "function",
		`{"function":"noname"}`:              "function",
		`{"function":"a.b","args":{}}`:       "args",
		`{"function":"a.b","kwargs":[]}`:     "kwargs",
		`{"function":"a.b","key":"a b"}`:     "key",
		`{"function":"a.b","timeout":-1}`:    "timeout",
		`{"function":"a.b","tries":0}`:       "tries",
		`{"function":"a.b","deadline":"no"}`: "deadline",
		`{"function":"a.b","other":1}`:       "",
	} {
		refused(t, http.StatusBadRequest, field, "POST", jobs, body)
	}
	refused(t, http.StatusBadRequest, "queue", "POST", s.URL+"/api/queues/a.b/jobs", `{"function":"a.b"}`)
	refused(t, http.StatusBadRequest, "key", "GET", s.URL+"/api/queues/default/results/a.b", "")
	refused(t, http.StatusNotFound, "key", "GET", s.URL+"/api/queues/default/results/nothing", "")
	refused(t, http.StatusUnsupportedMediaType, "", "POST", jobs, `{}`, "Content-Type", "text/plain")
	refused(t, http.StatusRequestEntityTooLarge, "", "POST", jobs, strings.Repeat(" ", longestBody+1))
	refused(t, http.StatusRequestEntityTooLarge, "", "POST", jobs, `{"function":"a.b","args":["`+strings.Repeat("x", 2<<20)+`"]}`)
	refused(t, http.StatusNotFound, "", "GET", s.URL+"/api/other", "")
	refused(t, http.StatusNotFound, "", "GET", s.URL+"/static/", "")
	refused(t, http.StatusNotFound, "", "GET", s.URL+"/static/nothing.js", "")
}

func TestDeadLetters(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	startFake(t, nc, js, "default", "w1")
	bury(t, js, "default", "again", "crashed", "the process ended", `{"function":"demo.add","args":[1,2],"tries":3}`)
	bury(t, js, "default", "broken", "invalid", "args: is a JSON text", `{"function":"demo.add","args":"no"}`)
	makeStreams(t, js, "other")
	for i := range 2 * mostLetters {
		bury(t, js, "other", fmt.Sprintf("k%d", i), "poison", "delivered 5 times", `{"function":"demo.add"}`)
	}
	var dead struct {
		Dead  []letter
		Total int
	}
	list := func(queue string) {
		t.Helper()
		time.Sleep(pollFresh)
		if status := ask(t, "GET", s.URL+"/api/dead?queue="+queue, "", &dead); status != http.StatusOK {
			t.Fatal("dead:", status)
		}
	}
	if list("default"); len(dead.Dead) != 2 || dead.Dead[1].Key != "again" || dead.Dead[1].Function != "demo.add" || dead.Dead[1].Deliveries != 3 {
		t.Fatalf("the dead letters are %+v", dead)
	}
	if list("other"); len(dead.Dead) != mostLetters || dead.Dead[0].Key != fmt.Sprintf("k%d", 2*mostLetters-1) || dead.Total != 2*mostLetters {
		t.Errorf("%d dead letters of %d, the newest %q", len(dead.Dead), dead.Total, dead.Dead[0].Key)
	}
	var whole letterView
	if ask(t, "GET", s.URL+"/api/queues/default/dead/again", "", &whole); whole.Request == nil || whole.Request.Args != "[1,2]" || whole.Request.Tries != 3 {
		t.Errorf("the letter is %+v", whole)
	}
	if status := ask(t, "POST", s.URL+"/api/queues/default/dead/again/retry", "{}", nil); status != http.StatusOK {
		t.Fatal("retry:", status)
	}
	until(t, "a good result after the retry", func() bool { return result(t, s, "default", "again").Text == "3" })
	refused(t, http.StatusNotFound, "key", "POST", s.URL+"/api/queues/default/dead/again/retry", "{}")
	refused(t, http.StatusConflict, "", "POST", s.URL+"/api/queues/default/dead/broken/retry", "{}")
	if status := ask(t, "POST", s.URL+"/api/queues/default/dead/broken/drop", "{}", nil); status != http.StatusOK {
		t.Fatal("drop:", status)
	}
	if list("default"); len(dead.Dead) != 0 {
		t.Errorf("there are still %+v", dead.Dead)
	}
	if got := result(t, s, "default", "broken"); got.Result.Status != wire.StatusError {
		t.Errorf("the result of what was dropped is %+v", got)
	}
}

// A job that is given up after another one of its key has succeeded is not retried: the good result would be lost.
func TestDeadBesideGoodResult(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	q := wire.Queue("default")
	makeStreams(t, js, q)
	record(t, js, q, wire.Result{Key: "k", Queue: "default", Function: "demo.add", Status: wire.StatusOK, Value: 3})
	bury(t, js, q, "k", wire.KindCrashed, "the process ended", `{"function":"demo.add"}`)
	refused(t, http.StatusConflict, "key", "POST", s.URL+"/api/queues/default/dead/k/retry", "{}")
	if got := result(t, s, "default", "k"); got.Text != "3" {
		t.Errorf("the result is %+v", got)
	}
	if status := ask(t, "POST", s.URL+"/api/queues/default/dead/k/drop", "{}", nil); status != http.StatusOK {
		t.Error("drop:", status)
	}
	// A letter whose result was removed is retried.
	bury(t, js, q, "gone", wire.KindCrashed, "the process ended", `{"function":"demo.add","args":[1,2]}`)
	results, err := js.Stream(t.Context(), q.ResultsStream())
	if err == nil {
		err = results.Purge(t.Context(), jetstream.WithPurgeSubject(q.Result("gone")))
	}
	if err != nil {
		t.Fatal(err)
	}
	if status := ask(t, "POST", s.URL+"/api/queues/default/dead/gone/retry", "{}", nil); status != http.StatusOK {
		t.Error("retry:", status)
	}
	startFake(t, nc, js, q, "w1")
	if got := result(t, s, "default", "gone"); got.Text != "3" {
		t.Errorf("the result is %+v", got)
	}
}

// What is retried may be given up again before its dead letter is deleted: the new one stays.
func TestDeadAgain(t *testing.T) {
	nc, js := startNATS(t)
	p, _ := startPage(t, nc, js, Options{})
	q := wire.Queue("default")
	makeStreams(t, js, q)
	sequence := func() uint64 {
		msg, err := p.message(t.Context(), q, q.DeadStream(), q.Dead("k"))
		if err != nil {
			t.Fatal(err)
		}
		return msg.Sequence
	}
	bury(t, js, q, "k", wire.KindCrashed, "first", `{"function":"demo.add"}`)
	first := sequence()
	bury(t, js, q, "k", wire.KindCrashed, "second", `{"function":"demo.add"}`)
	second := sequence()
	for _, old := range []uint64{first, second, second} {
		if _, err := p.deleteLetter(t.Context(), q, "k", old); err != nil {
			t.Error(err)
		}
		if old == first && sequence() != second {
			t.Error("the new letter is gone")
		}
	}
}

func TestFailuresOfBefore(t *testing.T) {
	nc, js := startNATS(t)
	makeStreams(t, js, "default")
	begin := time.Now().Add(-time.Hour)
	for i := range mostFailures + 20 {
		r := wire.Result{Key: fmt.Sprintf("k%d", i), Queue: "default", Function: "demo.fail", Status: wire.StatusError, Worker: "w1", Deliveries: 1,
			Submitted: begin, Started: begin, Finished: begin.Add(time.Duration(i) * time.Second), Error: exception("ValueError", "first\nsecond")}
		record(t, js, "default", r)
		r.Key, r.Status, r.Error = fmt.Sprintf("good%d", i), wire.StatusOK, nil
		record(t, js, "default", r)
	}
	_, s := startPage(t, nc, js, Options{})
	var failed struct{ Failures []failure }
	ask(t, "GET", s.URL+"/api/failures", "", &failed)
	if len(failed.Failures) != mostFailures || failed.Failures[0].Key != fmt.Sprintf("k%d", mostFailures+19) || failed.Failures[0].Message != "ValueError: first" {
		t.Errorf("%d failures, the newest %+v", len(failed.Failures), failed.Failures[0])
	}
	streams := js.ListStreams(t.Context())
	for info := range streams.Info() {
		if info.Config.Name == wire.Queue("default").ResultsStream() && info.State.Consumers != 0 {
			t.Errorf("%d consumers were left behind", info.State.Consumers)
		}
	}
}

func TestCancel(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{})
	makeStreams(t, js, "default")
	if status := ask(t, "POST", s.URL+"/api/queues/default/cancel/some", "{}", nil); status != http.StatusOK {
		t.Fatal("cancel:", status)
	}
	q := wire.Queue("default")
	stream, err := js.Stream(t.Context(), q.CancelsStream())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), q.Cancel("some")); err != nil {
		t.Error(err)
	}
	refused(t, http.StatusNotFound, "queue", "POST", s.URL+"/api/queues/none/cancel/some", "{}")
}

func TestOtherSites(t *testing.T) {
	nc, js := startNATS(t)
	_, s := startPage(t, nc, js, Options{Hosts: []string{"worker.example"}})
	makeStreams(t, js, "default")
	cancel := s.URL + "/api/queues/default/cancel/some"
	refused(t, http.StatusForbidden, "", "POST", cancel, "{}", "Sec-Fetch-Site", "cross-site")
	refused(t, http.StatusForbidden, "", "POST", cancel, "{}", "Origin", "https://elsewhere.example")
	refused(t, http.StatusForbidden, "", "GET", s.URL+"/api/state", "", "Host", "elsewhere.example")
	refused(t, http.StatusForbidden, "", "GET", s.URL+"/", "", "Host", "127.0.0.1.elsewhere.example:80")
	for _, host := range []string{"localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "worker.example:8080"} {
		if status := ask(t, "GET", s.URL+"/api/state", "", nil, "Host", host); status != http.StatusOK {
			t.Errorf("Host %s: %d", host, status)
		}
	}
	if status := ask(t, "POST", cancel, "{}", nil, "Sec-Fetch-Site", "same-origin", "Origin", s.URL); status != http.StatusOK {
		t.Error("from the page itself:", status)
	}
	response, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Contains(page, []byte("<title>")) {
		t.Fatalf("the page is %.100q, %v", page, err)
	}
	if csp := response.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Error("the policy is", csp)
	}
}

func TestToken(t *testing.T) {
	nc, js := startNATS(t)
	if _, err := New(nc, js, Options{Token: "short"}); err == nil {
		t.Error("a short token was taken")
	}
	p, s := startPage(t, nc, js, Options{Token: token})
	makeStreams(t, js, "default")
	for _, path := range []string{"/api/state", "/api/events", "/api/failures", "/api/dead", "/api/queues/default/results/k"} {
		refused(t, http.StatusUnauthorized, "", "GET", s.URL+path, "")
		refused(t, http.StatusUnauthorized, "", "GET", s.URL+path, "", "Authorization", "Bearer "+token+"x")
		refused(t, http.StatusUnauthorized, "", "GET", s.URL+path, "", "Cookie", cookieName+"=99999999999."+strings.Repeat("0", 64))
	}
	refused(t, http.StatusUnauthorized, "", "POST", s.URL+"/api/queues/default/cancel/k", "{}")
	if status := ask(t, "GET", s.URL+"/api/state", "", nil, "Authorization", "Bearer "+token); status != http.StatusOK {
		t.Error("with the token:", status)
	}
	refused(t, http.StatusUnauthorized, "token", "POST", s.URL+"/api/login", `{"token":"other"}`)
	refused(t, http.StatusRequestEntityTooLarge, "", "POST", s.URL+"/api/login", `{"token":"`+strings.Repeat("x", shortBody)+`"}`)
	response, err := http.Post(s.URL+"/api/login", "application/json", strings.NewReader(`{"token":"`+token+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cookies := response.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("the cookies are %v", cookies)
	}
	if status := ask(t, "GET", s.URL+"/api/state", "", nil, "Cookie", cookies[0].String()); status != http.StatusOK {
		t.Error("with the cookie:", status)
	}
	request := httptest.NewRequest("GET", "/", nil)
	request.AddCookie(cookies[0])
	if p.knowsToken(request, time.Now().Add(session+time.Hour)) {
		t.Error("the cookie holds for ever")
	}
}

// A body that does not come does not hold a connection for ever, whoever begins it.
func TestSlowBody(t *testing.T) {
	nc, js := startNATS(t)
	p, err := New(nc, js, Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	p.slowest = 100 * time.Millisecond
	s := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); s.Close() })
	for request, status := range map[string]int{
		"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{": http.StatusRequestTimeout,
		"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{":                                   http.StatusUnsupportedMediaType,
		"POST /api/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{":               http.StatusUnauthorized,
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		_ = connection.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(connection, request)
		answer, err := io.ReadAll(connection) // until the server ends the connection
		if err != nil || !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", status)) {
			t.Errorf("%.60q: %v, %.100q", request, err, answer)
		}
	}
}
