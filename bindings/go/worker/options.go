package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker/wire"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// Options say what a worker serves, and how. Only Code is required.
type Options struct {
	// Code is the folder that is put in front of sys.path. Serve names the modules whose functions are served; when it is empty, all
	// modules in the folder are.
	Code  string
	Serve []string

	Venv string // the folder of a virtual environment whose packages the code uses

	Queue    string // "default" when it is empty
	Name     string // of the worker; made of host, process and a random number when it is empty
	Replicas int    // of the streams that the worker creates; 1 when it is 0

	Parallel int // how many jobs run at a time; as many as Go uses cores when it is 0
	Prefetch int // how many jobs are fetched beside those; Parallel when it is 0

	Isolation subpy.Isolation // IsolationProcess with [DefaultOptions]
	Memory    uint64          // limit of each interpreter in bytes, 0: none

	Timeout      time.Duration // of one try; 5 minutes when it is 0
	MaxResult    int           // bytes of a value; just below what the server takes when it is 0
	AckWait      time.Duration // of a consumer that the worker creates; 30 seconds when it is 0
	MaxDeliver   int           // a job that was delivered more often without a result is poison; 10 when it is 0
	RetryDelay   time.Duration // before the second try, twice that before the third, and so on up to a minute; 1 second when it is 0
	DrainTimeout time.Duration // how long jobs may go on when the worker ends; 30 seconds when it is 0
	KeepResults  time.Duration // of a stream that the worker creates; 7 days when it is 0

	Logger         *slog.Logger         // slog.Default when it is nil
	TracerProvider trace.TracerProvider // that of package otel when it is nil

	wall func() time.Time // time.Now when it is nil
	all  bool             // all modules in the folder are served
}

// DefaultOptions are the options of the command: interpreters with processes of their own.
func DefaultOptions() Options {
	return Options{Isolation: subpy.IsolationProcess}
}

const longestRetryDelay = time.Minute

// complete fills in what is not given, and says what is wrong with the rest.
func (o *Options) complete() error {
	if o.Code == "" {
		return errors.New("no folder with code is given: name the one in which the Python modules are")
	}
	folder, err := filepath.Abs(o.Code)
	if err != nil {
		return fmt.Errorf("the folder %s: %w", o.Code, err)
	}
	o.Code = folder
	if info, err := os.Stat(o.Code); err != nil {
		return fmt.Errorf("the folder with code: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("the folder with code: %s is a file; name the folder that it is in", o.Code)
	}
	if err := o.modules(); err != nil {
		return err
	}
	defaultTo(&o.Queue, wire.DefaultQueue)
	if err := wire.Queue(o.Queue).Check(); err != nil {
		return err
	}
	defaultTo(&o.Name, workerName())
	if err := wire.CheckKey(o.Name); err != nil {
		return fmt.Errorf("the worker's name: %w", err)
	}
	defaultTo(&o.Replicas, 1)
	defaultTo(&o.Parallel, runtime.GOMAXPROCS(0))
	defaultTo(&o.Prefetch, o.Parallel)
	defaultTo(&o.Timeout, 5*time.Minute)
	defaultTo(&o.AckWait, 30*time.Second)
	defaultTo(&o.MaxDeliver, 10)
	defaultTo(&o.RetryDelay, time.Second)
	defaultTo(&o.DrainTimeout, 30*time.Second)
	defaultTo(&o.KeepResults, 7*24*time.Hour)
	for name, n := range map[string]int64{"Replicas": int64(o.Replicas), "Parallel": int64(o.Parallel), "Prefetch": int64(o.Prefetch),
		"Timeout": int64(o.Timeout), "MaxResult": int64(o.MaxResult), "AckWait": int64(o.AckWait), "MaxDeliver": int64(o.MaxDeliver),
		"RetryDelay": int64(o.RetryDelay), "DrainTimeout": int64(o.DrainTimeout), "KeepResults": int64(o.KeepResults)} {
		if n < 0 {
			return fmt.Errorf("the option %s is negative", name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.wall == nil {
		o.wall = time.Now
	}
	return nil
}

func defaultTo[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

var identifiers = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)

// modules checks the names of modules, or finds those in the folder when none is named.
func (o *Options) modules() error {
	for _, name := range o.Serve {
		if !identifiers.MatchString(name) {
			return fmt.Errorf("%q is no name of a module; that of the file jobs.py is jobs", name)
		}
	}
	o.all = len(o.Serve) == 0
	return o.findModules()
}

// findModules finds the modules that are in the folder now, if all are served.
func (o *Options) findModules() error {
	if !o.all {
		return nil
	}
	o.Serve = nil
	files, err := os.ReadDir(o.Code)
	if err != nil {
		return fmt.Errorf("the folder with code: %w", err)
	}
	for _, file := range files {
		name, isModule := strings.CutSuffix(file.Name(), ".py")
		if isModule && identifiers.MatchString(name) && !strings.HasPrefix(name, "_") {
			o.Serve = append(o.Serve, name)
		}
	}
	if len(o.Serve) == 0 {
		return fmt.Errorf("there is no module in %s: put a file such as jobs.py there", o.Code)
	}
	return nil
}
