package process

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestGroup(t *testing.T) {
	g := NewGroup()
	// A child in a session of its own that outlives its parent.
	p, err := g.Start("shell", nil, nil, "sh", "-c", "setsid sh -c 'while :; do :; done' & while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	p.Kill()
	cpu := g.CPU()
	if cpu["shell"] < 100*time.Millisecond || cpu["shell's children"] < 100*time.Millisecond {
		t.Errorf("got %v", cpu)
	}
	left := g.Left()
	if len(left) != 1 || !strings.Contains(left[0], "while") {
		t.Errorf("left are %q", left)
	}
	killLeft(t, left)
	g.Close()
}

func killLeft(t *testing.T, left []string) {
	t.Helper()
	for _, line := range left {
		number, _, _ := strings.Cut(line, " ")
		pid, err := strconv.Atoi(number)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
