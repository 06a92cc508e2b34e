package page

import "github.com/subpy/subpy/bindings/go/worker/wire"

const (
	seconds = 600 // of history
	window  = 10  // seconds that a percentile is about
	average = 5   // seconds that a rate is about
)

// A history is what happened in each of the last seconds, of one queue or of all.
type history struct {
	done, failed uint64 // in this second
	ran, waited  recent
	points       []point
}

// A point is one second.
type point struct {
	done, failed, waiting, inProgress float64
	ran, waited                       []float64 // percentiles, nil when nothing ran
}

// recent is what was counted in the last seconds.
type recent struct {
	now  wire.Histogram
	past []wire.Histogram
}

func newHistory() *history { return &history{points: make([]point, 0, seconds)} }

// turn ends a second.
func (r *recent) turn() {
	if len(r.past) == window {
		copy(r.past, r.past[1:])
		r.past = r.past[:window-1]
	}
	r.past = append(r.past, r.now)
	r.now = wire.Histogram{}
}

func (r *recent) percentiles() []float64 {
	var sum wire.Histogram
	for _, h := range r.past {
		add(&sum, h)
	}
	return percentiles(sum)
}

// end ends a second.
func (h *history) end(s stored) {
	h.ran.turn()
	h.waited.turn()
	if len(h.points) == seconds {
		copy(h.points, h.points[1:])
		h.points = h.points[:seconds-1]
	}
	h.points = append(h.points, point{float64(h.done), float64(h.failed), float64(s.Waiting), float64(s.InProgress),
		h.ran.percentiles(), h.waited.percentiles()})
	h.done, h.failed = 0, 0
}

// last is the newest point, with rates of the last seconds: workers send each second, and not at the same moment as this one counts.
func (h *history) last() point {
	if len(h.points) == 0 {
		return point{}
	}
	newest := h.points[len(h.points)-1]
	newest.done, newest.failed = h.rates(len(h.points) - 1)
	return newest
}

func (h *history) rates(at int) (done, failed float64) {
	from := max(0, at-average+1)
	for _, p := range h.points[from : at+1] {
		done += p.done
		failed += p.failed
	}
	n := float64(at + 1 - from)
	return round(done/n, 1000), round(failed/n, 1000)
}

// series are the points as columns, for charts.
func (h *history) series() map[string]any {
	columns := map[string][]any{}
	for i, p := range h.points {
		done, failed := h.rates(i)
		put := func(name string, value any) { columns[name] = append(columns[name], value) }
		put("done", done)
		put("failed", failed)
		put("waiting", p.waiting)
		put("in_progress", p.inProgress)
		for name, values := range map[string][]float64{"ran": p.ran, "waited": p.waited} {
			for j, share := range []string{"50", "90", "99"} {
				if values == nil {
					put(name+share, nil)
				} else {
					put(name+share, values[j])
				}
			}
		}
	}
	all := map[string]any{}
	for _, name := range []string{"done", "failed", "waiting", "in_progress", "ran50", "ran90", "ran99", "waited50", "waited90", "waited99"} {
		all[name] = columns[name]
		if columns[name] == nil {
			all[name] = []any{}
		}
	}
	return all
}
