package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
)

// settings are what the command line says.
type settings struct {
	options worker.Options

	nats, creds, tlsCA, tlsCert, tlsKey string
	store, listen                       string
	http, tokenFile, log                string
	isolation, memory                   string
}

const usage = `usage: subpy-worker-nats [options] FOLDER

Serves the Python functions in a folder as a durable work queue on NATS JetStream. A job calls one by its name,
"module.function". Without --nats, a server is started inside the program, which stores what it has in a folder.

SIGTERM and SIGINT finish what runs and end; SIGHUP loads the code anew. docs/worker.md has the rest.

`

func readSettings(args []string) (*settings, error) {
	s := &settings{options: worker.DefaultOptions()}
	o := &s.options
	flags := pflag.NewFlagSet("subpy-worker-nats", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage, flags.FlagUsagesWrapped(120))
	}
	flags.StringVar(&o.Code, "code", "", "the folder of the Python code, which goes in front of sys.path; or give it as an argument")
	flags.StringArrayVar(&o.Serve, "serve", nil, "a module to serve; may be given again (default: all modules in the folder)")
	flags.StringVar(&o.Venv, "venv", "", "the folder of a virtual environment with packages that the code uses")
	flags.StringVar(&o.Queue, "queue", "default", "the queue")
	flags.StringVar(&o.Name, "name", "", "the worker's name (default: made of host, process and a random number)")

	flags.StringVar(&s.nats, "nats", "", "the NATS server, nats://HOST:PORT; several with commas between")
	flags.StringVar(&s.creds, "creds", "", "a file with credentials for it")
	flags.StringVar(&s.tlsCA, "tls-ca", "", "a file with the certificates that the server's has to be signed by")
	flags.StringVar(&s.tlsCert, "tls-cert", "", "a file with a certificate to show to it")
	flags.StringVar(&s.tlsKey, "tls-key", "", "a file with the key of that")
	flags.StringVar(&s.store, "store", "", "without --nats: the folder of what is stored (default: $XDG_STATE_HOME/subpy-worker-nats)")
	flags.StringVar(&s.listen, "listen", embedded.DefaultListen, "without --nats: where the server listens")
	flags.IntVar(&o.Replicas, "replicas", 1, "how many servers of a cluster have each stream that is created")

	flags.IntVar(&o.Parallel, "parallel", 0, "how many jobs run at a time (default: the cores)")
	flags.IntVar(&o.Prefetch, "prefetch", 0, "how many are fetched beside those (default: as many)")
	flags.StringVar(&s.isolation, "isolation", "process", "where interpreters live: in a process each (process), or in this one (own-gil)")
	flags.StringVar(&s.memory, "memory", "", "how much memory each interpreter may use, such as 512M (default: no limit)")
	flags.DurationVar(&o.Timeout, "timeout", 0, "how long one try of a job may run (default 5m)")
	flags.IntVar(&o.MaxResult, "max-result", 0, "how many bytes a value may have (default: what the server takes, without 128 KiB)")
	flags.DurationVar(&o.AckWait, "ack-wait", 0, "after which silence of a worker the server gives its jobs to another (default 30s)")
	flags.IntVar(&o.MaxDeliver, "max-deliver", 0, "a job that was delivered more often without a result is given up (default 10)")
	flags.DurationVar(&o.RetryDelay, "retry-delay", 0, "the time before the second try of a job; it doubles up to a minute (default 1s)")
	flags.DurationVar(&o.DrainTimeout, "drain-timeout", 0, "how long jobs may go on when the worker ends (default 30s)")
	flags.DurationVar(&o.KeepResults, "keep-results", 0, "how long a stream of results that is created keeps them (default 168h)")

	flags.StringVar(&s.http, "http", "127.0.0.1:8480", "where the page, metrics and health are served; off: nowhere")
	flags.StringVar(&s.tokenFile, "token-file", "", "a file with the token that the page asks for (or the variable SUBPY_WORKER_TOKEN)")
	flags.StringVar(&s.log, "log", "text", "the form of the log on stderr: text or json")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 1:
		return nil, fmt.Errorf("more than one folder: %s", strings.Join(flags.Args(), ", "))
	case flags.NArg() == 1 && o.Code != "":
		return nil, fmt.Errorf("the folder is given twice, as %s and as --code %s", flags.Arg(0), o.Code)
	case flags.NArg() == 1:
		o.Code = flags.Arg(0)
	}
	return s, s.check(flags)
}

func (s *settings) check(flags *pflag.FlagSet) error {
	switch s.isolation {
	case "process":
		s.options.Isolation = subpy.IsolationProcess
	case "own-gil":
		s.options.Isolation = subpy.IsolationOwnGIL
	default:
		return fmt.Errorf("--isolation %s: is process or own-gil", s.isolation)
	}
	if s.log != "text" && s.log != "json" {
		return fmt.Errorf("--log %s: is text or json", s.log)
	}
	if s.memory != "" {
		bytes, err := parseBytes(s.memory)
		if err != nil {
			return fmt.Errorf("--memory %w", err)
		}
		s.options.Memory = bytes
	}
	if s.nats != "" && (flags.Changed("store") || flags.Changed("listen")) {
		return errors.New("--store and --listen are for the server inside the program, and --nats names another one")
	}
	if s.nats == "" && (s.creds != "" || s.tlsCA != "" || s.tlsCert != "" || s.tlsKey != "") {
		return errors.New("--creds and --tls-... are for another server: name it with --nats")
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	return nil
}

// parseBytes reads a size such as 512M.
func parseBytes(text string) (uint64, error) {
	number, shift := text, 0
	for suffix, bits := range map[string]int{"K": 10, "M": 20, "G": 30} {
		if before, ok := strings.CutSuffix(strings.TrimSuffix(text, "iB"), suffix); ok {
			number, shift = before, bits
		}
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || n > 1<<(62-shift) {
		return 0, fmt.Errorf("%s: is no size such as 512M or 2G", text)
	}
	return n << shift, nil
}

func (s *settings) logger() *slog.Logger {
	if s.log == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}
