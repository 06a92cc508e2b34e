package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A progress is one line that is written again and again on a terminal, and a line now and then elsewhere.
type progress struct {
	to       io.Writer
	terminal bool
	verbose  bool
	start    time.Time

	mu   sync.Mutex
	line bool // one is on the terminal
	last time.Time
}

func newProgress(to *os.File, verbose bool) *progress {
	info, err := to.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &progress{to: to, terminal: terminal, verbose: verbose, start: time.Now()}
}

// say writes a line that stays.
func (p *progress) say(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.to, format+"\n", arguments...)
}

// fault writes what is done to the cluster, for those who want to know all of it.
func (p *progress) fault(format string, arguments ...any) {
	if p.verbose {
		p.say("%s  "+format, append([]any{clock(time.Since(p.start))}, arguments...)...)
	}
}

const every = 5 * time.Second // on anything but a terminal

func (p *progress) show(results, jobs int, rest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal && time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("%s  %7s of %s results  %s", clock(time.Since(p.start)), grouped(results), grouped(jobs), rest)
	if !p.terminal {
		fmt.Fprintln(p.to, text)
		return
	}
	const width = 20
	full := width * min(results, jobs) / max(jobs, 1)
	fmt.Fprintf(p.to, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", width-full), text)
	p.line = true
}

func (p *progress) clear() {
	if p.line {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.line = false
	}
}

func clock(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// grouped writes 1234567 as 1,234,567.
func grouped[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
