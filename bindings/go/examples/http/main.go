// Http is a web server whose answers come from a Python function, on all cores.
//
//	go run . -addr localhost:8080
//	curl --data 'to be or not to be' localhost:8080/words
//
// Each interpreter has its own GIL, so as many requests are answered at the same time as there are interpreters. When a
// client goes away, or an answer takes too long, the Python that works on it is stopped, and another interpreter takes the next
// request. What Python prints is logged. On SIGINT and SIGTERM the server takes no new requests, answers those that it
// has, and closes the interpreters.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

//go:embed words.py
var code string

// A word is one of those that the function words in words.py returns.
type word struct {
	Text  string `subpy:"text" json:"text"`
	Count int    `subpy:"count" json:"count"`
}

const (
	largestText  = 1 << 20
	longestWords = 10 * time.Second
)

// A server answers requests in the interpreters of a pool. Goroutines wait for one in Go, where waiting costs next to nothing and
// ends with the request.
type server struct {
	pool *subpy.Pool
}

func newServer(interpreters int) (server, error) {
	pool, err := subpy.NewPool(subpy.PoolOptions{
		Workers:     interpreters,
		Interpreter: []subpy.Option{subpy.WithOutput(log.Writer(), log.Writer()), subpy.WithNoStdin()},
		Setup:       code,
	})
	return server{pool}, err
}

func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestText))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestWords)
	defer cancel()
	words, err := subpy.CallPoolAs[[]word](ctx, s.pool, "words", string(text))
	var failed *subpy.ExecutionFailedError
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(words); err != nil {
			log.Print(err)
		}
	case r.Context().Err() != nil: // nobody wants an answer any more
		log.Print(err)
	case errors.Is(err, subpy.ErrInvalidArgument), errors.As(err, &failed) && failed.Type == "ValueError":
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.As(err, &failed):
		log.Print(failed.Display)
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		log.Print(err)
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
	}
}

// serve answers requests until the context is done.
func serve(ctx context.Context, listener net.Listener, interpreters int) (err error) {
	s, err := newServer(interpreters)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.pool.CloseWith(subpy.CloseOptions{Drain: true, Timeout: time.Minute}))
	}()

	mux := http.NewServeMux()
	mux.Handle("POST /words", s)
	front := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- front.Shutdown(context.Background())
	}()
	if err := front.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	interpreters := flag.Int("interpreters", 0, "how many (default: one for each core)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", listener.Addr())
	if err := serve(ctx, listener, cmp.Or(*interpreters, runtime.GOMAXPROCS(0))); err != nil {
		log.Fatal(err)
	}
}
