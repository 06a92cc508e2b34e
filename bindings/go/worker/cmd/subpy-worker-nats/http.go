package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/page"
)

// serveHTTP serves health, metrics and the page.
func (s *settings) serveHTTP(w *worker.Worker, nc *nats.Conn, log *slog.Logger) (end func(), err error) {
	if s.http == "off" {
		return func() {}, nil
	}
	listener, err := listen(s.http)
	if err != nil {
		return nil, err
	}
	own := w.Handler()
	mux := http.NewServeMux()
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		mux.Handle(path, own)
	}
	shown, err := s.page(listener.Addr(), nc, log)
	if err != nil {
		listener.Close()
		return nil, err
	}
	if shown != nil {
		mux.Handle("/", shown)
	}
	// Without limits for reading and writing in all, which would end the page's stream of events.
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go server.Serve(listener)
	log.Info("HTTP", "address", "http://"+listener.Addr().String(), "page", shown != nil)
	return func() {
		server.Close()
		if shown != nil {
			shown.Close()
		}
	}, nil
}

// page is the page. Other machines see none without a token, since whoever sees it may submit jobs.
func (s *settings) page(address net.Addr, nc *nats.Conn, log *slog.Logger) (*page.Page, error) {
	token := os.Getenv("SUBPY_WORKER_TOKEN")
	if s.tokenFile != "" {
		text, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	if tcp, ok := address.(*net.TCPAddr); token == "" && (!ok || !tcp.IP.IsLoopback()) {
		log.Warn("the page is not shown, because other machines can reach --http: give a token with --token-file or SUBPY_WORKER_TOKEN",
			"address", address.String())
		return nil, nil
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return page.New(nc, js, page.Options{Token: token, Queue: s.options.Queue, Log: log})
}

func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("--http %s: the port is in use; choose another one, or --http off", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--http %s: %w", address, err)
	}
	return listener, nil
}
