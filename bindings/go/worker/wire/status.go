package wire

import "time"

// What happens to a job.
const (
	EventStarted   = "started"
	EventRetrying  = "retrying"
	EventFinished  = "finished"
	EventDuplicate = "duplicate"
)

// An Event is what happens to a job, in JSON.
type Event struct {
	Event      string    `json:"event"`
	Key        string    `json:"key"`
	Function   string    `json:"function"`
	Worker     string    `json:"worker"`
	Time       time.Time `json:"time"`
	Deliveries int       `json:"deliveries"`

	// With retrying and finished.
	Status  string  `json:"status,omitempty"`
	Kind    string  `json:"kind,omitempty"`
	Message string  `json:"message,omitempty"` // one line
	Seconds float64 `json:"seconds,omitempty"` // how long it ran
	Waited  float64 `json:"waited,omitempty"`  // seconds from its submission until it began
}

// Encode writes an event, as package json does.
func (e *Event) Encode() ([]byte, error) {
	fields := []pair{{"event", e.Event}, {"key", e.Key}, {"function", e.Function}, {"worker", e.Worker}, {"time", formatTime(e.Time)},
		{"deliveries", e.Deliveries}}
	for _, text := range []pair{{"status", e.Status}, {"kind", e.Kind}, {"message", e.Message}} {
		if text.value != "" {
			fields = append(fields, text)
		}
	}
	for _, number := range []pair{{"seconds", e.Seconds}, {"waited", e.Waited}} {
		if number.value != 0.0 {
			fields = append(fields, number)
		}
	}
	return writeFields(JSON, fields)
}

// The states of a worker.
const (
	StateServing  = "serving"
	StateDraining = "draining"
)

// A Worker is what a worker says of itself, in JSON, each second.
type Worker struct {
	Worker  string    `json:"worker"`
	Queue   string    `json:"queue"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"`
	State   string    `json:"state"`
	Leaving bool      `json:"leaving,omitempty"` // this is the last that it says

	Parallel int `json:"parallel"`
	Running  int `json:"running"`
	Held     int `json:"held"` // fetched and not begun

	// Since it was started.
	Done       uint64    `json:"done"`
	Failed     uint64    `json:"failed"`
	Retried    uint64    `json:"retried"`
	Dead       uint64    `json:"dead"`
	Duplicates uint64    `json:"duplicates"`
	Ran        Histogram `json:"ran"`
	Waited     Histogram `json:"waited"`

	Functions []Function `json:"functions"`
}

// A Histogram counts seconds: Counts[i] are those up to Bounds[i], and the last count is of those beyond.
type Histogram struct {
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"`
}

// A Function is one that a worker serves.
type Function struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Doc       string `json:"doc"`
}
