// Package process runs programs that end with this one, and knows what each of them and its children use of the processors.
package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// marker is a variable of the environment that children of children inherit, whatever session they make for themselves.
const marker = "SUBPY_CLUSTER_ROLE"

// A Group is programs that are ended together.
type Group struct {
	id     string
	starts chan start

	mu      sync.Mutex
	running map[*Process]bool
	meter   meter
}

// A Process is a program that runs, or has run.
type Process struct {
	Role  string
	group *Group
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

type start struct {
	cmd *exec.Cmd
	err chan error
}

// NewGroup begins to measure.
func NewGroup() *Group {
	g := &Group{id: fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano()), starts: make(chan start), running: map[*Process]bool{}}
	g.meter.group = g
	g.meter.stop = make(chan struct{})
	// The signal of the parent's death is about the thread that has started the child: this one stays.
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case s := <-g.starts:
				s.err <- s.cmd.Start()
			case <-g.meter.stop:
				return
			}
		}
	}()
	go g.meter.run()
	return g
}

// Start runs a program. What it and its children use is counted under the role, such as "server".
func (g *Group) Start(role string, env []string, output *os.File, command ...string) (*Process, error) {
	return g.StartWith(role, env, nil, output, output, command...)
}

// StartWith is Start with a file for each stream; nil is an empty one.
func (g *Group) StartWith(role string, env []string, in, out, complaints *os.File, command ...string) (*Process, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(os.Environ(), env...), g.mark(role))
	for stream, file := range map[*io.Writer]*os.File{&cmd.Stdout: out, &cmd.Stderr: complaints} {
		if file != nil {
			*stream = file
		}
	}
	if in != nil {
		cmd.Stdin = in
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	s := start{cmd, make(chan error, 1)}
	select {
	case g.starts <- s:
	case <-g.meter.stop:
		return nil, errors.New("the programs were ended")
	}
	if err := <-s.err; err != nil {
		return nil, err
	}
	p := &Process{Role: role, group: g, cmd: cmd, ended: make(chan struct{})}
	g.mu.Lock()
	g.running[p] = true
	g.meter.own(cmd.Process.Pid, role)
	g.mu.Unlock()
	go func() {
		p.err = cmd.Wait()
		g.mu.Lock()
		delete(g.running, p)
		g.mu.Unlock()
		close(p.ended)
	}()
	return p, nil
}

func (g *Group) mark(role string) string { return marker + "=" + g.id + " " + role }

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the process with -9, and returns when it has ended.
func (p *Process) Kill() {
	p.group.meter.sample()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Stop asks the process to end, and kills it when it has not after a time.
func (p *Process) Stop(patience time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		p.Kill()
		return errors.New("it did not end by itself and was killed")
	}
}

// Kill ends what runs still.
func (g *Group) Kill() {
	g.mu.Lock()
	var running []*Process
	for p := range g.running {
		running = append(running, p)
	}
	g.mu.Unlock()
	for _, p := range running {
		p.Kill()
	}
}

// Close kills what runs still, starts nothing any more, and measures no longer.
func (g *Group) Close() {
	close(g.meter.stop)
	g.Kill()
}

// How is how a process has ended.
func (p *Process) How() string {
	<-p.ended
	return p.cmd.ProcessState.String()
}
