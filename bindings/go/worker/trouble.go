package worker

import (
	"context"
	"sync"
	"time"
)

// Between two attempts to run jobs when none can be run.
const (
	firstRest   = 500 * time.Millisecond
	longestRest = 10 * time.Second
)

// A trouble is something that does not work just now.
type trouble struct {
	lock  sync.Mutex
	why   string
	rest  time.Duration
	until time.Time
}

// fails is called each time that it does not work. It rests longer and longer.
func (t *trouble) fails(why string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.why = why
	if time.Now().After(t.until) {
		t.rest = min(max(2*t.rest, firstRest), longestRest)
		t.until = time.Now().Add(t.rest)
	}
}

func (t *trouble) works() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.why, t.rest, t.until = "", 0, time.Time{}
}

// is says what does not work, "" when it does.
func (t *trouble) is() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.why
}

// wait waits until it has rested.
func (t *trouble) wait(ctx context.Context) {
	t.lock.Lock()
	until := t.until
	t.lock.Unlock()
	if rest := time.Until(until); rest > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
}
