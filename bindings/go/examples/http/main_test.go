package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

// start runs the server with three interpreters, and returns its address and a function that ends it.
func start(t *testing.T) (url string, stop func()) {
	return startWith(t, 3)
}

func startWith(t *testing.T, interpreters int) (url string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- serve(ctx, listener, interpreters) }()
	return "http://" + listener.Addr().String(), func() {
		http.DefaultClient.CloseIdleConnections() // or the server waits for requests on them, for seconds
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("the server does not end")
		}
	}
}

func post(url, text string) (status int, answer string, err error) {
	response, err := http.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(body)), err
}

func TestServer(t *testing.T) {
	url, stop := start(t)
	for _, c := range []struct {
		path, text string
		status     int
		answer     string
	}{
		{"/words", "To be or not to be", 200, `[{"text":"be","count":2},{"text":"to","count":2},{"text":"not","count":1},{"text":"or","count":1}]`},
		{"/words", "ä Ä", 200, `[{"text":"ä","count":2}]`},
		{"/words", " ", 400, "ValueError: there is no text"},
		{"/words", "a\xff", 400, "subpy: args[0]: invalid UTF-8 at byte offset 1"},
		{"/words", strings.Repeat("x", largestText+1), 400, "http: request body too large"},
		{"/", "x", 404, "404 page not found"},
	} {
		status, answer, err := post(url+c.path, c.text)
		if err != nil || status != c.status || answer != c.answer {
			t.Errorf("%.20q: got %d, %s, %v", c.text, status, answer, err)
		}
	}

	var group sync.WaitGroup
	for i := range 200 {
		group.Add(1)
		go func() {
			defer group.Done()
			status, answer, err := post(url+"/words", fmt.Sprintf("x%d x%d", i, i))
			if want := fmt.Sprintf(`[{"text":"x%d","count":2}]`, i); err != nil || status != 200 || answer != want {
				t.Errorf("got %d, %s, %v", status, answer, err)
			}
		}()
	}
	group.Wait()
	stop()
	if all, err := subpy.ListAll(); err != nil || len(all) != 1 {
		t.Errorf("interpreters are left: %v, %v", all, err)
	}
}

// Requests that are being answered when the server is told to end get their answer.
func TestGracefulShutdown(t *testing.T) {
	url, stop := start(t)
	if status, _, err := post(url+"/words", "up"); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	began := make(chan struct{})
	body, writer := io.Pipe()
	answered := make(chan string)
	go func() {
		response, err := http.Post(url+"/words", "text/plain", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		answered <- response.Status
	}()
	go func() {
		writer.Write([]byte("a "))
		close(began)
		time.Sleep(100 * time.Millisecond)
		writer.Write([]byte("b"))
		writer.Close()
	}()
	<-began
	time.Sleep(20 * time.Millisecond)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	if status := <-answered; status != "200 OK" {
		t.Errorf("got %s", status)
	}
	<-stopped
}

// A request that waits for an interpreter gives up when its client does.
func TestWaitingEndsWithTheRequest(t *testing.T) {
	s, err := newServer(1)
	if err != nil {
		t.Fatal(err)
	}
	busy, stop := context.WithCancel(t.Context())
	running, err := s.pool.Submit(busy, "time:sleep", 0.05)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.pool.Call(ctx, "words", "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	stop()
	running.Join()
	if err := s.pool.Close(); err != nil {
		t.Error(err)
	}
}

// When a client goes away, the Python that works for it stops, and the only worker is there for the next one.
func TestClientGoesAway(t *testing.T) {
	real := code
	defer func() { code = real }()
	code += `
count = words
def words(text):
    while text == "for ever":
        print("working")
    return count(text)
`
	working := make(chan struct{})
	var once sync.Once
	log.SetOutput(writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "working\n") {
			once.Do(func() { close(working) })
		}
		return len(p), nil
	}))
	defer log.SetOutput(os.Stderr)

	url, stop := startWith(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-working
		cancel()
	}()
	request, err := http.NewRequestWithContext(ctx, "POST", url+"/words", strings.NewReader("for ever"))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", response, err)
	}
	status, answer, err := post(url+"/words", "next")
	if want := `[{"text":"next","count":1}]`; err != nil || status != 200 || answer != want {
		t.Errorf("the next request: %d, %s, %v", status, answer, err)
	}
	stop()
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
