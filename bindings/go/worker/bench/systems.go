package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A system runs jobs. Its start returns what has it run so many of a kind, and says how long that took.
type system struct {
	name  string
	kinds []string
	start func(p *place, workers int) (do, error)
}

type do func(kind string, count int) (time.Duration, error)

var both = []string{"noop", "busy"}

var systems = []system{
	{"ProcessPoolExecutor", both, startPool},
	{"dramatiq, Redis", both, startDramatiq},
	{"subpy, 1 server", both, func(p *place, workers int) (do, error) { return startSubpy(p, 1, workers, 1) }},
	{"subpy, 3 servers", both, func(p *place, workers int) (do, error) { return startSubpy(p, 3, workers, 1) }},
	{"subpy, 1 server, 1 worker of so many interpreters", both, func(p *place, workers int) (do, error) { return startSubpy(p, 1, 1, workers) }},
	{"messages alone, 1 server", both[:1], func(p *place, workers int) (do, error) { return startMessages(p, 1, workers) }},
	{"messages alone, 3 servers", both[:1], func(p *place, workers int) (do, error) { return startMessages(p, 3, workers) }},
}

func startPool(p *place, workers int) (do, error) {
	return p.python("client", []string{"pool_client.py", strconv.Itoa(workers)})
}

func startDramatiq(p *place, workers int) (do, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if _, err := p.group.Start("server", nil, p.log, p.o.redis, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--dir", p.folder, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""); err != nil {
		return nil, err
	}
	if err := listens(port); err != nil {
		return nil, err
	}
	env := append(p.env(), fmt.Sprintf("BENCH_REDIS=redis://127.0.0.1:%d/0", port))
	if _, err := p.group.Start("worker", env, p.log, p.o.python, "-m", "dramatiq", "app", "--path", p.code,
		"--processes", strconv.Itoa(workers), "--threads", "1", "--pid-file", filepath.Join(p.folder, "pid")); err != nil {
		return nil, err
	}
	return p.python("client", []string{"dramatiq_client.py"}, env...)
}

func (p *place) env() []string {
	return []string{"PYTHONPATH=" + p.code + ":" + p.o.wheels, "PYTHONDONTWRITEBYTECODE=1"}
}

// python starts a client that reads lines "KIND COUNT" and answers each with the seconds that it took.
func (p *place) python(role string, program []string, env ...string) (do, error) {
	toClient, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromClient, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	program[0] = filepath.Join(p.code, program[0])
	_, err = p.group.StartWith(role, append(p.env(), env...), toClient, out, p.log, append([]string{p.o.python}, program...)...)
	toClient.Close()
	out.Close()
	if err != nil {
		return nil, err
	}
	answers := bufio.NewReader(fromClient)
	return func(kind string, count int) (time.Duration, error) {
		if _, err := fmt.Fprintln(in, kind, count); err != nil {
			return 0, err
		}
		line, err := answers.ReadString('\n')
		if err == io.EOF {
			err = fmt.Errorf("%s has ended", program[0])
		}
		if err != nil {
			return 0, err
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		return time.Duration(seconds * float64(time.Second)), err
	}, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func listens(port int) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Since(begin) > 20*time.Second {
			return err
		}
	}
}
