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
	const enough = 100 * time.Millisecond
	counted := func() bool {
		cpu := g.CPU()
		return cpu["shell"] >= enough && cpu["shell's children"] >= enough
	}
	for end := time.Now().Add(time.Minute); !counted() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	p.Kill()
	if !counted() { // also when one has ended
		t.Errorf("got %v", g.CPU())
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
