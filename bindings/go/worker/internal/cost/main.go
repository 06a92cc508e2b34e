// Command cost measures what processor time a job that does nothing costs the process of a worker, beside the same messages without
// a worker and the same calls without messages. The server is a process of its own. With -profile it leaves a profile for go tool pprof.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

var (
	jobs    = flag.Int("jobs", 20_000, "how many jobs")
	warm    = flag.Int("warm", 2_000, "how many before that are not measured")
	profile = flag.String("profile", "", "a folder for profiles")
	role    = flag.String("role", "", "internal")
	url     = flag.String("url", "", "internal")
	folder  = flag.String("folder", "", "internal")
)

const code = "def nothing(n): return n\n"

func main() {
	log.SetFlags(0)
	flag.Parse()
	var err error
	switch *role {
	case "":
		err = measure()
	case "server":
		err = serve()
	case "bare":
		err = bare()
	case "process", "own-gil":
		err = work()
	default:
		err = calls()
	}
	if err != nil {
		log.Fatal(err)
	}
}

// measure runs each role in a process of its own.
func measure() error {
	home, err := os.MkdirTemp("", "subpy-cost")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	if err := os.WriteFile(filepath.Join(home, "jobs.py"), []byte(code), 0o600); err != nil {
		return err
	}
	server, address, err := start("server", home)
	if err != nil {
		return err
	}
	defer server.Process.Kill()
	fmt.Printf("| %d jobs that do nothing | processor time each, in this process | jobs/s |\n|---|---|---|\n", *jobs)
	for _, role := range []string{"bare", "calls-process", "process", "calls-own-gil", "own-gil"} {
		*url = address
		child, line, err := start(role, home)
		if err != nil {
			return err
		}
		if err := child.Wait(); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		fmt.Println(line)
	}
	return nil
}

// start starts a role, and returns the line that it says.
func start(role, home string) (*exec.Cmd, string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	child := exec.Command(program, "-role", role, "-url", *url, "-folder", home, "-profile", *profile, "-jobs", strconv.Itoa(*jobs), "-warm", strconv.Itoa(*warm))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		return nil, "", err
	}
	text := make([]byte, 1000)
	n, err := out.Read(text)
	return child, strings.TrimSpace(string(text[:n])), err
}

func serve() error {
	server, err := embedded.Start(embedded.Options{Store: filepath.Join(*folder, "store"), Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	fmt.Println(server.ClientURL())
	select {}
}

// used is the processor time of this process.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// meter is called when so many jobs are done, and says what those after the first ones cost.
func meter(what string) (done func()) {
	var lock sync.Mutex
	var n int
	var begun time.Time
	var before time.Duration
	var file *os.File
	return func() {
		lock.Lock()
		defer lock.Unlock()
		n++
		switch n {
		case *warm:
			if *profile != "" {
				var err error
				if file, err = os.Create(filepath.Join(*profile, *role+".pprof")); err == nil {
					err = pprof.StartCPUProfile(file)
				}
				if err != nil {
					log.Fatal(err)
				}
			}
			begun, before = time.Now(), used()
		case *warm + *jobs:
			cost, took := used()-before, time.Since(begun)
			if file != nil {
				pprof.StopCPUProfile()
				file.Close()
			}
			fmt.Printf("| %s | %.0f us | %.0f |\n", what, cost.Seconds()*1e6/float64(*jobs), float64(*jobs)/took.Seconds())
			os.Exit(0)
		}
	}
}

func connect() (*nats.Conn, jetstream.JetStream) {
	nc, err := nats.Connect(*url)
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	return nc, js
}

// fill submits the jobs of a queue, before anything is measured.
func fill(queue string) {
	nc, js := connect()
	defer nc.Close()
	for i := range *warm + *jobs {
		request := wire.Request{Function: "jobs.nothing", Args: []any{i}}
		body, err := request.Encode(wire.JSON)
		if err == nil {
			_, err = js.PublishAsync(wire.Queue(queue).Jobs(), body)
		}
		if err != nil {
			log.Fatal(err)
		}
		if i%1000 == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
}

func options(queue string) worker.Options {
	o := worker.DefaultOptions()
	o.Code, o.Queue, o.Parallel, o.Logger = *folder, queue, 2, slog.New(slog.DiscardHandler)
	if strings.HasSuffix(*role, "own-gil") {
		o.Isolation = subpy.IsolationOwnGIL
	}
	return o
}

// work is a worker.
func work() error {
	queue := "cost-" + *role
	nc, _ := connect()
	w, err := worker.New(context.Background(), nc, options(queue)) // which creates the streams
	if err != nil {
		return err
	}
	fill(queue)
	done := meter("a worker, isolation " + *role)
	go func() {
		last := uint64(0)
		for {
			time.Sleep(50 * time.Millisecond)
			for now := w.Status().Done; last < now; last++ {
				done()
			}
		}
	}()
	return w.Run(context.Background())
}

// bare takes the same messages and answers them with the same ones, and calls nothing.
func bare() error {
	nc, js := connect()
	ctx := context.Background()
	if _, err := worker.New(ctx, nc, options("bare")); err != nil {
		return err
	}
	fill("bare")
	consumer, err := js.Consumer(ctx, wire.Queue("bare").JobsStream(), wire.Consumer)
	if err != nil {
		return err
	}
	done := meter("the messages alone: fetch, put if absent, acknowledge")
	slots := make(chan struct{}, 4)
	for {
		free := 1
		for slots <- struct{}{}; len(slots) < cap(slots); free++ {
			slots <- struct{}{}
		}
		batch, err := consumer.Fetch(free, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		for msg := range batch.Messages() {
			go func() {
				meta, err := msg.Metadata()
				if err == nil {
					subject := wire.Queue("bare").Result("seq-" + strconv.FormatUint(meta.Sequence.Stream, 10))
					_, err = js.Publish(ctx, subject, msg.Data(), jetstream.WithExpectLastSequencePerSubject(0))
				}
				if err == nil {
					err = msg.Ack()
				}
				if err != nil {
					log.Fatal(err)
				}
				done()
				<-slots
			}()
		}
	}
}

// calls calls the function as the worker does, and nothing else.
func calls() error {
	o := options("calls")
	isolation := o.Isolation
	pool, err := subpy.NewPool(subpy.PoolOptions{Workers: 2, Isolation: isolation, Setup: `
import json
def run(function, args, kwargs, job): return json.dumps(json.loads(args)[0])`})
	if err != nil {
		return err
	}
	done := meter("the calls alone, isolation " + isolation.String())
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for i := range *warm + *jobs {
				about := subpy.Tuple{"key", "queue", "jobs.nothing", nil, 1, "", ""}
				if _, err := pool.Call(context.Background(), "run", "jobs.nothing", "["+strconv.Itoa(i)+"]", "", about); err != nil {
					log.Fatal(err)
				}
				done()
			}
		})
	}
	both.Wait()
	return nil
}
