package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/subpy/subpy/bindings/go/worker/internal/process"
)

// A cluster is three nats-servers, which keep each message three times.
type cluster struct {
	binary  string
	folder  string
	group   *process.Group
	network network
	running [servers]*process.Process
}

const serverConfig = `server_name: %[1]s
listen: "%[2]s"
http: "%[3]s"
ping_interval: "2s"
ping_max: 2
jetstream { store_dir: "%[4]s" }
cluster { name: demo, listen: "%[5]s", no_advertise: true, ping_interval: "2s", routes: [%[6]s] }
`

func serverName(server int) string { return fmt.Sprintf("server-%d", server+1) }

func (c *cluster) config(server int) string {
	return filepath.Join(c.folder, serverName(server)+".conf")
}

func (c *cluster) configure() error {
	var routes []string
	for server := range servers {
		routes = append(routes, `"nats-route://`+c.network.Address(server, "cluster")+`"`)
	}
	for server := range servers {
		text := fmt.Sprintf(serverConfig, serverName(server), c.network.Address(server, "client"), c.network.Address(server, "monitor"),
			filepath.Join(c.folder, serverName(server)), c.network.Address(server, "cluster"), strings.Join(routes, ", "))
		if err := os.WriteFile(c.config(server), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) start(server int) error {
	log, err := openLog(c.folder, serverName(server))
	if err != nil {
		return err
	}
	defer log.Close()
	command := c.network.Command(server, c.binary, "-c", c.config(server))
	c.running[server], err = c.group.Start("server", nil, log, command...)
	return err
}

func (c *cluster) kill(server int) { c.running[server].Kill() }

// healthy waits until a server has caught up with the others.
func (c *cluster) healthy(ctx context.Context, server int) error {
	client := http.Client{Timeout: 2 * time.Second}
	for {
		response, err := client.Get("http://" + c.network.Address(server, "monitor") + "/healthz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("it answers %s", response.Status)
		}
		select {
		case <-c.running[server].Ended():
			return fmt.Errorf("%s has ended, see its log", serverName(server))
		case <-ctx.Done():
			return fmt.Errorf("%s is not healthy: %w", serverName(server), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func openLog(folder, name string) (*os.File, error) {
	return os.OpenFile(logName(folder, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func logName(folder, name string) string { return filepath.Join(folder, name+".log") }
