package worker

import (
	"sync"
	"time"
)

// A clock tells the server's time, which decides about deadlines: the one that the server last told, and what has passed since then by
// the monotonic clock. The wall clock of this machine, which may be wrong and may jump, counts only until the server has told it once.
type clock struct {
	begun time.Time // its monotonic part is what counts

	lock   sync.Mutex
	server time.Time
	at     time.Duration // on the monotonic clock
}

func newClock(wall func() time.Time) *clock {
	return &clock{begun: time.Now(), server: wall().Round(0)}
}

// mono is the time since the clock was made.
func (c *clock) mono() time.Duration {
	return time.Since(c.begun)
}

// now is the server's time.
func (c *clock) now() time.Time {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.server.Add(c.mono() - c.at)
}

// told is called with what the server said its time was, between two moments of the monotonic clock.
func (c *clock) told(server time.Time, asked, answered time.Duration) {
	if server.IsZero() {
		return
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.server, c.at = server.Round(0), asked+(answered-asked)/2
}
