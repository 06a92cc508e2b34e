package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

type options struct {
	jobs     int
	rate     float64
	workers  int
	parallel int
	seed     uint64
	pace     time.Duration
	patience time.Duration
	network  string
	verbose  bool
	keep     bool

	server, worker, python, census string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.IntVar(&o.jobs, "jobs", 20_000, "so many jobs")
	flags.Float64Var(&o.rate, "rate", 0, "submit so many a second; 0: as fast as they are taken")
	flags.IntVar(&o.workers, "workers", 4, "so many workers")
	flags.IntVar(&o.parallel, "parallel", 2, "so many jobs at a time in each worker")
	flags.Uint64Var(&o.seed, "seed", 0, "of the random numbers; 0: a new one")
	flags.DurationVar(&o.pace, "pace", 8*time.Second, "a worker and a server or a link fail about every half of this time")
	flags.DurationVar(&o.patience, "patience", 90*time.Second, "give up when nothing has happened for so long")
	flags.StringVar(&o.network, "network", "", "namespaces or proxies; empty: namespaces where that is allowed, and else proxies")
	flags.BoolVar(&o.verbose, "v", false, "print each kill and each cut")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with logs and data")
	flags.StringVar(&o.server, "server", "", "the program nats-server")
	flags.StringVar(&o.worker, "worker", "", "the program subpy-worker-nats")
	flags.StringVar(&o.python, "python", os.Getenv("SUBPY_PYTHON"), "the Python of the workers")
	flags.StringVar(&o.census, "census", "", "the file census.py of examples/census")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no option", flags.Arg(0))
	}
	if o.jobs < 100 || o.workers < 1 || o.parallel < 1 || o.rate < 0 || o.pace < time.Second {
		return o, errors.New("-jobs has to be 100 or more, -workers and -parallel 1 or more, -rate not negative, -pace a second or more")
	}
	for name, value := range map[string]string{"server": o.server, "worker": o.worker, "python": o.python, "census": o.census} {
		if value == "" {
			return o, fmt.Errorf("-%s is missing; the script test-cluster gives it", name)
		}
	}
	if o.network != "" && o.network != "namespaces" && o.network != "proxies" {
		return o, fmt.Errorf("-network is %q, and has to be namespaces or proxies", o.network)
	}
	for o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000)
	}
	return o, nil
}
