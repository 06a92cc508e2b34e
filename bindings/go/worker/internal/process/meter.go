package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Linux counts in hundredths of a second for programs, whatever it does inside.
const tick = time.Second / 100

// A meter reads from time to time what each process has used.
type meter struct {
	group *Group
	stop  chan struct{}

	mu      sync.Mutex
	started map[int]string // the role of a process that Start has started
	seen    map[identity]*use
}

// An identity is that of one process: numbers are used again.
type identity struct {
	pid   int
	begun string
}

type use struct {
	role string // "" of a process of others
	time time.Duration
}

func (m *meter) own(pid int, role string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.started == nil {
		m.started = map[int]string{}
	}
	m.started[pid] = role
	// It may have been looked at before its program had begun.
	for id := range m.seen {
		if id.pid == pid {
			delete(m.seen, id)
		}
	}
}

func (m *meter) run() {
	every := time.NewTicker(250 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			m.sample()
		case <-m.stop:
			return
		}
	}
}

func (m *meter) sample() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[identity]*use{}
	}
	for _, pid := range pids() {
		begun, used, ok := stat(pid)
		if !ok {
			continue
		}
		id := identity{pid, begun}
		u := m.seen[id]
		if u == nil {
			u = &use{role: m.roleOf(pid)}
			m.seen[id] = u
		}
		u.time = used
	}
}

func (m *meter) roleOf(pid int) string {
	if role, ok := m.started[pid]; ok {
		return role
	}
	if role, ok := m.group.roleIn(pid); ok {
		return role + "'s children"
	}
	return ""
}

// roleIn is the role that a process has inherited.
func (g *Group) roleIn(pid int) (string, bool) {
	env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for _, variable := range bytes.Split(env, []byte{0}) {
		if role, ok := strings.CutPrefix(string(variable), g.mark("")); ok {
			return role, true
		}
	}
	return "", false
}

// CPU is what the processes have used up to now, by role; those that processes of a role have started count under "ROLE's children".
func (g *Group) CPU() map[string]time.Duration {
	g.meter.sample()
	g.meter.mu.Lock()
	defer g.meter.mu.Unlock()
	sum := map[string]time.Duration{}
	for _, u := range g.meter.seen {
		if u.role != "" {
			sum[u.role] += u.time
		}
	}
	return sum
}

// Left are the processes of the group that run: number and command line.
func (g *Group) Left() []string {
	var left []string
	for _, pid := range pids() {
		if _, ok := g.roleIn(pid); ok && pid != os.Getpid() {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			left = append(left, fmt.Sprintf("%d %s", pid, bytes.ReplaceAll(bytes.Trim(line, "\x00"), []byte{0}, []byte{' '})))
		}
	}
	return left
}

func pids() []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			numbers = append(numbers, pid)
		}
	}
	return numbers
}

// stat reads when a process has begun, and what all its threads have used.
func stat(pid int) (begun string, used time.Duration, ok bool) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, false
	}
	// The name of the program, in brackets, may have anything in it.
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 20 {
		return "", 0, false
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return fields[19], time.Duration(user+system) * tick, true
}
