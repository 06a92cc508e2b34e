package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// An account of all results, by number.
type account struct {
	results     int      // messages in the stream of results
	stored      uint64   // results that have ever been stored there
	bytes       uint64   // that they take
	times       []int    // how often each job has a result
	wrong       []string // key and what is wrong with its result
	strange     []string // keys that no job has
	errors      map[string]int
	redelivered int // results of jobs that were delivered more than once
	deliveries  int // beyond the first of each
	jobsLeft    uint64
	dead        uint64
	perServer   [servers]uint64
	first, last time.Time
	stall       time.Duration // longest time between two results
	stallEnd    time.Time
}

// read looks at every result that is stored.
func read(ctx context.Context, js jetstream.JetStream, of *jobs) (*account, error) {
	stream, err := js.Stream(ctx, wire.Queue(queue).ResultsStream())
	if err != nil {
		return nil, err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	a := &account{times: make([]int, of.count), errors: map[string]int{}}
	for pending := uint64(1); pending > 0; {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		pending = meta.NumPending
		a.add(of, msg, meta.Timestamp)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	a.stored, a.bytes = info.State.LastSeq, info.State.Bytes
	for name, to := range map[string]*uint64{wire.Queue(queue).JobsStream(): &a.jobsLeft, wire.Queue(queue).DeadStream(): &a.dead} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, err
		}
		*to = s.CachedInfo().State.Msgs
	}
	return a, nil
}

func (a *account) add(js *jobs, msg jetstream.Msg, at time.Time) {
	a.results++
	if a.first.IsZero() {
		a.first = at
	} else if at.Sub(a.last) > a.stall {
		a.stall, a.stallEnd = at.Sub(a.last), at
	}
	a.last = at
	key := wire.LastToken(msg.Subject())
	number, err := strconv.Atoi(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil || number < 0 || number >= js.count {
		a.strange = append(a.strange, key)
		return
	}
	j := js.job(number)
	if j.request.Key != key {
		a.strange = append(a.strange, key)
		return
	}
	a.times[number]++
	if err := a.check(j, msg); err != nil {
		a.wrong = append(a.wrong, key+": "+err.Error())
	}
}

func (a *account) check(j job, msg jetstream.Msg) error {
	content, err := wire.ContentOf(msg.Headers().Get(wire.HeaderContentType))
	if err != nil {
		return err
	}
	if content != j.content {
		return fmt.Errorf("it is %s, and the request was %s", content, j.content)
	}
	result, err := wire.DecodeResult(content, msg.Data())
	if err != nil {
		return err
	}
	if result.Deliveries > 1 {
		a.redelivered++
		a.deliveries += result.Deliveries - 1
	}
	if result.Error != nil {
		a.errors[result.Error.Kind]++
	}
	if result.Key != j.request.Key || result.Function != j.request.Function || result.Queue != queue {
		return fmt.Errorf("it is that of %s %s of the queue %s", result.Function, result.Key, result.Queue)
	}
	return j.want.check(result)
}

// compare waits until each server has the same results on its own disk.
func (a *account) compare(ctx context.Context, n network) error {
	for server := range servers {
		for {
			has, err := storedBy(ctx, n, server)
			a.perServer[server] = has
			if err == nil && has == uint64(a.results) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s has %d results, and there are %d: %w", serverName(server), has, a.results, errors.Join(err, ctx.Err()))
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}

func storedBy(ctx context.Context, n network, server int) (uint64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Address(server, "monitor")+"/jsz?streams=true", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Accounts []struct {
			Streams []struct {
				Name  string `json:"name"`
				State struct {
					Messages uint64 `json:"messages"`
				} `json:"state"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	for _, account := range answer.Accounts {
		for _, stream := range account.Streams {
			if stream.Name == wire.Queue(queue).ResultsStream() {
				return stream.State.Messages, nil
			}
		}
	}
	return 0, errors.New("it has no stream of results")
}

// missing and doubled are the keys of jobs without a result, and with several.
func (a *account) missing(js *jobs) (missing, doubled []string) {
	for number, times := range a.times {
		switch {
		case times == 0:
			missing = append(missing, js.job(number).request.Key)
		case times > 1:
			doubled = append(doubled, js.job(number).request.Key)
		}
	}
	return missing, doubled
}

// faults are all reasons why this is no proof.
func (a *account) faults(js *jobs) []string {
	var found []string
	list := func(what string, items []string) {
		if len(items) > 0 {
			shown := items[:min(len(items), 50)]
			more := ""
			if len(items) > len(shown) {
				more = fmt.Sprintf("\n  and %d more", len(items)-len(shown))
			}
			found = append(found, fmt.Sprintf("%d %s:\n  %s%s", len(items), what, strings.Join(shown, "\n  "), more))
		}
	}
	missing, doubled := a.missing(js)
	list("jobs have no result", missing)
	list("jobs have several results", doubled)
	list("results are wrong", a.wrong)
	list("results are of no job", a.strange)
	if a.stored != uint64(js.count) {
		found = append(found, fmt.Sprintf("%d results were stored, of %d jobs", a.stored, js.count))
	}
	if a.jobsLeft > 0 {
		found = append(found, fmt.Sprintf("%d requests are still in the queue", a.jobsLeft))
	}
	if a.dead > 0 {
		found = append(found, fmt.Sprintf("%d requests are dead letters", a.dead))
	}
	return found
}
