package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultQueue is the usual queue.
const DefaultQueue = "default"

// Consumer is the durable consumer that the workers of a queue share.
const Consumer = "workers"

// The headers of messages.
const (
	HeaderContentType = "Content-Type"
	HeaderMsgID       = "Nats-Msg-Id"
	HeaderKey         = "Subpy-Key"
	HeaderReply       = "Subpy-Reply"
	HeaderTraceparent = "traceparent"
	HeaderTracestate  = "tracestate"

	HeaderKind       = "Subpy-Kind" // of a dead letter
	HeaderMessage    = "Subpy-Message"
	HeaderDeliveries = "Subpy-Deliveries"
)

const (
	longestQueue = 64
	longestKey   = 128
	prefix       = "subpy.1."
)

// A Queue is the name of a queue.
type Queue string

// Check says what is wrong with the name, if anything is.
func (q Queue) Check() error {
	return checkName("queue", string(q), longestQueue, "_-")
}

// Streams of the queue.
func (q Queue) JobsStream() string    { return "subpy-" + string(q) + "-jobs" }
func (q Queue) ResultsStream() string { return "subpy-" + string(q) + "-results" }
func (q Queue) DeadStream() string    { return "subpy-" + string(q) + "-dead" }
func (q Queue) CancelsStream() string { return "subpy-" + string(q) + "-cancels" }

// Jobs is the subject of requests.
func (q Queue) Jobs() string { return q.subject("jobs") }

// Subjects of one key. "*" stands for all of them.
func (q Queue) Result(key string) string { return q.subject("results") + "." + key }
func (q Queue) Dead(key string) string   { return q.subject("dead") + "." + key }
func (q Queue) Cancel(key string) string { return q.subject("cancels") + "." + key }
func (q Queue) Events(key string) string { return q.subject("events") + "." + key }

// Worker is the subject of what a worker says of itself. "*" stands for all of them.
func (q Queue) Worker(name string) string { return q.subject("workers") + "." + name }

func (q Queue) subject(kind string) string { return prefix + string(q) + "." + kind }

// QueueOfStream is the queue whose jobs a stream has, if it has those of one.
func QueueOfStream(stream string) (Queue, bool) {
	name, ok := strings.CutPrefix(stream, "subpy-")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, "-jobs")
	return Queue(name), ok && Queue(name).Check() == nil
}

// LastToken is the key or the worker that a subject ends with.
func LastToken(subject string) string {
	return subject[strings.LastIndexByte(subject, '.')+1:]
}

// CheckKey says what is wrong with a key, if anything is.
func CheckKey(key string) error {
	return checkName("key", key, longestKey, "_=-")
}

// ownKey is how keys begin that nobody has chosen. Only a dead letter that is retried has one, in its header Subpy-Key.
const ownKey = "seq-"

func checkChosenKey(key string) error {
	if strings.HasPrefix(key, ownKey) {
		return fmt.Errorf("key: %q begins like the keys of requests without one: choose another that does not begin with %q", key, ownKey)
	}
	return CheckKey(key)
}

// KeyOf is the key of a job: the one in the request, else the header Subpy-Key or Nats-Msg-Id if that is a key, else one made of the
// sequence of the message, which nobody has chosen.
func KeyOf(inRequest string, header map[string][]string, sequence uint64) (key string, chosen bool) {
	if inRequest != "" {
		return inRequest, true
	}
	for _, name := range []string{HeaderKey, HeaderMsgID} {
		if values := header[name]; len(values) > 0 && CheckKey(values[0]) == nil && (name == HeaderKey || !strings.HasPrefix(values[0], ownKey)) {
			return values[0], true
		}
	}
	return ownKey + strconv.FormatUint(sequence, 10), false
}

func checkName(what, name string, longest int, others string) error {
	if name == "" {
		return fmt.Errorf("%s: is empty", what)
	}
	if len(name) > longest {
		return fmt.Errorf("%s: is %d bytes long, at most %d are allowed", what, len(name), longest)
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune(others, c):
		default:
			return fmt.Errorf("%s: %q has the character %q, which is none of A-Z a-z 0-9 %s", what, name, c,
				strings.Join(strings.Split(others, ""), " "))
		}
	}
	return nil
}
