package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// patient is an option of publishing: to wait when too many messages are on their way.
var patient = jetstream.WithStallWait(time.Minute)

const queue = wire.Queue("bench")

// startSubpy starts servers, and workers with so many interpreters each.
func startSubpy(p *place, servers, workers, parallel int) (do, error) {
	urls, err := startServers(p, servers)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(p.folder, "code")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	text, err := code.ReadFile("jobs.py")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "jobs.py"), text, 0o600); err != nil {
		return nil, err
	}
	conn, js, err := connect(urls)
	if err != nil {
		return nil, err
	}
	arrived := arrivals(conn)
	for worker := range workers {
		command := []string{p.o.worker, "--nats", strings.Join(urls, ","), "--queue", string(queue), "--replicas", strconv.Itoa(servers),
			"--parallel", strconv.Itoa(parallel), "--http", "off", "--name", fmt.Sprintf("worker-%d", worker+1), folder}
		if err := p.keepRunning("worker", command); err != nil {
			return nil, err
		}
	}
	if err := arrived(workers); err != nil {
		return nil, err
	}
	return submits(p, js), nil
}

// submits submits each time with keys of its own.
func submits(p *place, js jetstream.JetStream) do {
	turn := 0
	return func(kind string, count int) (time.Duration, error) {
		turn++
		return submit(p, js, kind, count, turn)
	}
}

// submit publishes jobs, and returns when it has read all results.
func submit(p *place, js jetstream.JetStream, kind string, count, turn int) (time.Duration, error) {
	results, err := js.Stream(p.ctx, queue.ResultsStream())
	if err != nil {
		return 0, err
	}
	consumer, err := results.OrderedConsumer(p.ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: results.CachedInfo().State.LastSeq + 1})
	if err != nil {
		return 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	begin := time.Now()
	for number := range count {
		request := wire.Request{Function: "jobs." + kind, Args: []int{number}, Key: fmt.Sprintf("%d-%d", turn, number)}
		body, err := request.Encode(wire.JSON)
		if err != nil {
			return 0, err
		}
		msg := nats.NewMsg(queue.Jobs())
		msg.Data = body
		msg.Header.Set(wire.HeaderMsgID, request.Key)
		if _, err := js.PublishMsgAsync(msg, patient); err != nil {
			return 0, err
		}
	}
	for range count {
		msg, err := messages.Next(jetstream.NextMaxWait(2 * time.Minute))
		if err != nil {
			return 0, err
		}
		result, err := wire.DecodeResult(wire.JSON, msg.Data())
		if err != nil {
			return 0, err
		}
		key := wire.LastToken(msg.Subject())
		if number := key[strings.IndexByte(key, '-')+1:]; result.Error != nil || fmt.Sprintf("%s", result.Value) != number {
			return 0, fmt.Errorf("the result of %s is %s, %w", key, result.Value, result.Error)
		}
	}
	return time.Since(begin), nil
}

// keepRunning starts a program, and again when it ends.
func (p *place) keepRunning(role string, command []string) error {
	program, err := p.group.Start(role, nil, p.log, command...)
	if err != nil {
		return err
	}
	go func() {
		<-program.Ended()
		time.Sleep(time.Second)
		if p.ctx.Err() == nil {
			_ = p.keepRunning(role, command)
		}
	}()
	return nil
}

func connect(urls []string) (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(strings.Join(urls, ","))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(256))
	return conn, js, err
}

// arrivals listens for workers. What it returns waits until so many have said that they are there.
func arrivals(conn *nats.Conn) func(workers int) error {
	told := make(chan string, 1000)
	subscription, err := conn.Subscribe(queue.Worker("*"), func(msg *nats.Msg) {
		select {
		case told <- wire.LastToken(msg.Subject):
		default: // somebody is heard each second
		}
	})
	return func(workers int) error {
		if err != nil {
			return err
		}
		defer subscription.Unsubscribe()
		late := time.After(time.Minute)
		for there := map[string]bool{}; len(there) < workers; {
			select {
			case name := <-told:
				there[name] = true
			case <-late:
				return fmt.Errorf("%d of %d workers have come in a minute", len(there), workers)
			}
		}
		return nil
	}
}

func startServers(p *place, servers int) ([]string, error) {
	var client, cluster, monitor []string
	for range servers {
		for _, list := range []*[]string{&client, &cluster, &monitor} {
			port, err := freePort()
			if err != nil {
				return nil, err
			}
			*list = append(*list, fmt.Sprintf("127.0.0.1:%d", port))
		}
	}
	var urls []string
	for server := range servers {
		name := fmt.Sprintf("server-%d", server+1)
		config := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\njetstream { store_dir: %q }\n", name, client[server], monitor[server],
			filepath.Join(p.folder, name))
		if servers > 1 {
			config += fmt.Sprintf("cluster { name: bench, listen: %q, routes: [nats-route://%s] }\n", cluster[server],
				strings.Join(cluster, ", nats-route://"))
		}
		file := filepath.Join(p.folder, name+".conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, err
		}
		if _, err := p.group.Start("server", nil, p.log, p.o.server, "-c", file); err != nil {
			return nil, err
		}
		urls = append(urls, "nats://"+client[server])
	}
	for _, address := range monitor {
		if err := healthy("http://" + address + "/healthz"); err != nil {
			return nil, err
		}
	}
	return urls, nil
}

func healthy(url string) error {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s: %s", url, response.Status)
		}
		if time.Since(begin) > 30*time.Second {
			return err
		}
	}
}
