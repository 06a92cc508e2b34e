package page

import (
	"math"
	"slices"
	"sort"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const (
	mostBounds = 256
	mostBound  = 1e9 // seconds
)

// usable tells whether a histogram that somebody sent is one.
func usable(h wire.Histogram) bool {
	if len(h.Bounds) == 0 || len(h.Bounds) > mostBounds || len(h.Counts) != len(h.Bounds)+1 {
		return false
	}
	for i, bound := range h.Bounds {
		if math.IsNaN(bound) || bound < 0 || bound > mostBound || i > 0 && bound <= h.Bounds[i-1] {
			return false
		}
	}
	return true
}

// difference is what was counted between two histograms of one worker.
func difference(before, after wire.Histogram) wire.Histogram {
	if !usable(after) {
		return wire.Histogram{}
	}
	counts := slices.Clone(after.Counts)
	if slices.Equal(before.Bounds, after.Bounds) && len(before.Counts) == len(counts) {
		for i, n := range before.Counts {
			if n > counts[i] { // the worker was started anew
				return wire.Histogram{Bounds: after.Bounds, Counts: slices.Clone(after.Counts)}
			}
			counts[i] -= n
		}
	}
	return wire.Histogram{Bounds: after.Bounds, Counts: counts}
}

// add adds what another histogram counted. Where the bounds differ, a count goes to the bound that is at or above its own.
func add(to *wire.Histogram, from wire.Histogram) {
	if len(from.Counts) == 0 {
		return
	}
	if len(to.Counts) == 0 {
		*to = wire.Histogram{Bounds: from.Bounds, Counts: slices.Clone(from.Counts)}
		return
	}
	same := slices.Equal(to.Bounds, from.Bounds)
	for i, n := range from.Counts {
		at := i
		if !same {
			at = len(to.Bounds)
			if i < len(from.Bounds) {
				at = sort.SearchFloat64s(to.Bounds, from.Bounds[i])
			}
		}
		to.Counts[at] += n
	}
}

// percentiles are the 50th, 90th and 99th; nil when nothing was counted. Within a bucket the values are taken to lie evenly; one
// beyond the last bound is given as that.
func percentiles(h wire.Histogram) []float64 {
	var total uint64
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 {
		return nil
	}
	found := make([]float64, 0, 3)
	for _, share := range []float64{0.5, 0.9, 0.99} {
		found = append(found, quantile(h, share*float64(total)))
	}
	return found
}

func quantile(h wire.Histogram, rank float64) float64 {
	var below float64
	for i, n := range h.Counts {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		if i == len(h.Bounds) {
			break
		}
		lower := 0.0
		if i > 0 {
			lower = h.Bounds[i-1]
		}
		return round(lower+(h.Bounds[i]-lower)*(rank-below)/float64(n), 1e6)
	}
	return h.Bounds[len(h.Bounds)-1]
}

func round(x, parts float64) float64 { return math.Round(x*parts) / parts }
