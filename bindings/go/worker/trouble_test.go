package worker

import (
	"context"
	"testing"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

func TestTrouble(t *testing.T) {
	var trouble trouble
	if trouble.is() != "" {
		t.Error("it begins with one")
	}
	for range 3 { // jobs that fail together are one failure
		trouble.fails("no memory")
	}
	if trouble.is() != "no memory" || trouble.rest != firstRest {
		t.Errorf("%q, and a rest of %v", trouble.is(), trouble.rest)
	}
	begun := time.Now()
	trouble.wait(t.Context())
	if time.Since(begun) < firstRest/2 {
		t.Error("it did not rest")
	}
	for range 10 {
		trouble.until = time.Time{}
		trouble.fails("no memory")
	}
	if trouble.rest != longestRest {
		t.Errorf("a rest of %v", trouble.rest)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	trouble.wait(ended)
	trouble.works()
	if trouble.is() != "" || trouble.rest != 0 {
		t.Error("it stays")
	}
}

func TestDelay(t *testing.T) {
	for _, c := range []struct {
		first      time.Duration
		deliveries int
		want       time.Duration
	}{{time.Second, 1, time.Second}, {time.Second, 2, 2 * time.Second}, {time.Second, 7, time.Minute}, {time.Second, 1000, time.Minute},
		{time.Hour, 1, time.Hour}, {time.Hour, 9, time.Hour}} {
		j := &job{w: &Worker{o: Options{RetryDelay: c.first}}, deliveries: c.deliveries, request: &wire.Request{}}
		if delay := j.delay(); delay != c.want {
			t.Errorf("after %d deliveries, with %v: %v, not %v", c.deliveries, c.first, delay, c.want)
		}
	}
}
