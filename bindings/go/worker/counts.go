package worker

import (
	"sync"
	"sync/atomic"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// bounds are those of the histograms, in seconds.
var bounds = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

type histogram struct {
	lock   sync.Mutex
	counts []uint64
	sum    float64
}

func (h *histogram) add(seconds float64) {
	at := 0
	for at < len(bounds) && seconds > bounds[at] {
		at++
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.counts == nil {
		h.counts = make([]uint64, len(bounds)+1)
	}
	h.counts[at]++
	h.sum += seconds
}

func (h *histogram) read() (counts []uint64, sum float64) {
	h.lock.Lock()
	defer h.lock.Unlock()
	counts = make([]uint64, len(bounds)+1)
	copy(counts, h.counts)
	return counts, h.sum
}

func (h *histogram) wire() wire.Histogram {
	counts, _ := h.read()
	return wire.Histogram{Bounds: bounds, Counts: counts}
}

// counts are what a worker has done since its start.
type counts struct {
	done, retried, dead, duplicates, returned atomic.Uint64

	lock   sync.Mutex
	failed map[string]uint64 // by kind

	ran, waited histogram
}

func (c *counts) fail(kind string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.failed == nil {
		c.failed = map[string]uint64{}
	}
	c.failed[kind]++
}

func (c *counts) failures() (byKind map[string]uint64, all uint64) {
	c.lock.Lock()
	defer c.lock.Unlock()
	byKind = map[string]uint64{}
	for kind, n := range c.failed {
		byKind[kind] = n
		all += n
	}
	return byKind, all
}
