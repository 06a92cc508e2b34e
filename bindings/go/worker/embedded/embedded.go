// Package embedded runs a nats-server with JetStream and a file store inside the program.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// Options say what server to run.
type Options struct {
	Store  string       // the folder of what it stores; [DefaultStore] when it is empty
	Listen string       // an address; "127.0.0.1:4222" when it is empty, and with port 0 any free port
	Logger *slog.Logger // slog.Default when it is nil
}

// DefaultListen is where a server listens.
const DefaultListen = "127.0.0.1:4222"

const patience = 30 * time.Second

// A Server is a nats-server that runs.
type Server struct {
	*server.Server
	lock *os.File
}

// DefaultStore is $XDG_STATE_HOME/subpy-worker-nats, where XDG_STATE_HOME is ~/.local/state unless it is set.
func DefaultStore() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: name a folder for the store", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "subpy-worker-nats"), nil
}

// Start starts a server, and returns when it is ready.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var err error
	if o.Store == "" {
		if o.Store, err = DefaultStore(); err != nil {
			return nil, err
		}
	}
	host, port, err := hostAndPort(o.Listen)
	if err != nil {
		return nil, err
	}
	locked, err := lockStore(o.Store)
	if err != nil {
		return nil, err
	}
	s, err := start(o, host, port)
	if err != nil {
		locked.Close()
		return nil, err
	}
	return &Server{Server: s, lock: locked}, nil
}

func start(o Options, host string, port int) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{ServerName: "subpy-worker-nats", Host: host, Port: port, JetStream: true, StoreDir: o.Store,
		NoSigs: true, DontListen: false})
	if err != nil {
		return nil, fmt.Errorf("the embedded nats-server: %w", err)
	}
	log := &logger{to: o.Logger.With("part", "nats-server"), fatal: make(chan string, 1)}
	s.SetLoggerV2(log, false, false, false)
	go s.Start()
	ready := make(chan bool, 1)
	go func() { ready <- s.ReadyForConnections(patience) }()
	var failed error
	select {
	case message := <-log.fatal:
		failed = errors.New(message)
		if strings.Contains(message, "address already in use") {
			failed = fmt.Errorf("%s is in use: choose another address with --listen, or use the server that is there with --nats nats://%s",
				o.Listen, o.Listen)
		}
	case ok := <-ready:
		if ok && s.JetStreamEnabled() {
			return s, nil
		}
		failed = fmt.Errorf("it was not ready within %v, see its log", patience)
	}
	s.Shutdown()
	return nil, fmt.Errorf("the embedded nats-server: %w", failed)
}

// Stop ends the server when it has stored what it has.
func (s *Server) Stop() {
	s.Shutdown()
	s.WaitForShutdown()
	s.lock.Close()
}

func hostAndPort(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no address to listen on, such as %s", listen, DefaultListen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// lockStore keeps two servers from one store, which would destroy it.
func lockStore(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the store: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the store: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("the store %s is used by another server that runs: join that with --nats nats://%s, or choose another folder "+
			"with --store", folder, DefaultListen)
	}
	return file, nil
}

// A logger passes on what the server logs: what is of interest to who runs a worker.
type logger struct {
	to    *slog.Logger
	once  sync.Once
	fatal chan string
}

func (l *logger) Noticef(format string, v ...any) { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.to.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  {}
func (l *logger) Tracef(format string, v ...any)  {}

func (l *logger) Fatalf(format string, v ...any) {
	l.once.Do(func() { l.fatal <- fmt.Sprintf(format, v...) })
}
