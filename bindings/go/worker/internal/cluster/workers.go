package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/internal/process"
)

// A crew is the workers, which are started again when they end.
type crew struct {
	command []string // but for the name
	folder  string
	group   *process.Group

	mu      sync.Mutex
	running []*process.Process // nil while it does not
	ended   []string           // those that have ended by themselves, and how
	closed  bool
}

const (
	ackWait           = 3 * time.Second
	longerThanAckWait = 2 * ackWait
)

// newCrew puts the code where the workers find it.
func newCrew(o options, folder, servers string, group *process.Group) (*crew, error) {
	code := filepath.Join(folder, "code")
	if err := os.Mkdir(code, 0o700); err != nil {
		return nil, err
	}
	census, err := os.ReadFile(o.census)
	if err != nil {
		return nil, fmt.Errorf("the census that the workers run: %w", err)
	}
	for name, text := range map[string][]byte{"census.py": census, "functions.py": functionsCode} {
		if err := os.WriteFile(filepath.Join(code, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	command := []string{o.worker, "--nats", servers, "--queue", queue, "--replicas", "3", "--parallel", fmt.Sprint(o.parallel), "--http", "off",
		"--ack-wait", ackWait.String(), code}
	return &crew{command: command, folder: folder, group: group, running: make([]*process.Process, o.workers)}, nil
}

func workerName(worker int) string { return fmt.Sprintf("worker-%d", worker+1) }

func (c *crew) start(worker int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	log, err := openLog(c.folder, workerName(worker))
	if err != nil {
		return err
	}
	defer log.Close()
	p, err := c.group.Start("worker", nil, log, append(c.command, "--name", workerName(worker))...)
	if err != nil {
		return err
	}
	c.running[worker] = p
	go c.watch(worker, p)
	return nil
}

// watch starts a worker again that has ended by itself, as a supervisor would.
func (c *crew) watch(worker int, p *process.Process) {
	<-p.Ended()
	c.mu.Lock()
	byItself := c.running[worker] == p && !c.closed
	if byItself {
		c.running[worker] = nil
		c.ended = append(c.ended, workerName(worker)+": "+p.How()+": "+lastLine(c.folder, workerName(worker)))
	}
	c.mu.Unlock()
	if byItself {
		time.Sleep(time.Second)
		_ = c.start(worker)
	}
}

// kill ends a worker with -9. It says whether one was there.
func (c *crew) kill(worker int) bool {
	c.mu.Lock()
	p := c.running[worker]
	c.running[worker] = nil
	c.mu.Unlock()
	if p == nil {
		return false
	}
	p.Kill()
	return true
}

// drain asks all workers to end, and says which of them did not do it well.
func (c *crew) drain() []error {
	c.mu.Lock()
	c.closed = true
	running := c.running
	c.mu.Unlock()
	failed := make([]error, len(running))
	var all sync.WaitGroup
	for worker, p := range running {
		if p == nil {
			continue
		}
		all.Go(func() {
			if err := p.Stop(20 * time.Second); err != nil {
				failed[worker] = fmt.Errorf("%s, when it was asked to end: %w", workerName(worker), err)
			}
		})
	}
	all.Wait()
	return failed
}

// lastLine is the last line of a log.
func lastLine(folder, name string) string {
	text, _ := os.ReadFile(logName(folder, name))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
