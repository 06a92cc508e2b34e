package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Namespaces are network namespaces on one bridge: a server behind a cut link hears from nobody, and nobody is told.
type namespaces struct {
	prefix string // of the three bytes that a network of 256 addresses begins with
	bridge string
	made   []func() error // undoes, last first
}

var ports = map[string]int{"client": 4222, "cluster": 6222, "monitor": 8222}

func newNamespaces() (*namespaces, error) {
	removeLeft()
	prefix, err := freePrefix()
	if err != nil {
		return nil, err
	}
	n := &namespaces{prefix: prefix, bridge: fmt.Sprintf("subpy%d", os.Getpid())}
	if err := n.make(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *namespaces) make() error {
	steps := []step{
		{do: ip("link", "add", n.bridge, "type", "bridge", "forward_delay", "0"), undo: ip("link", "del", n.bridge)},
		{do: ip("addr", "add", n.prefix+".254/24", "dev", n.bridge)},
		{do: ip("link", "set", n.bridge, "up")},
	}
	for server := range servers {
		space, outside, inside := n.space(server), n.link(server), "eth0"
		steps = append(steps,
			step{do: ip("netns", "add", space), undo: ip("netns", "del", space)},
			step{do: ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", space), undo: ip("link", "del", outside)},
			step{do: ip("link", "set", outside, "master", n.bridge, "up")},
			step{do: ip("-n", space, "addr", "add", n.host(server)+"/24", "dev", inside)},
			step{do: ip("-n", space, "link", "set", inside, "up")},
			step{do: ip("-n", space, "link", "set", "lo", "up")})
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return err
		}
		if s.undo != nil {
			n.made = append(n.made, s.undo)
		}
	}
	return nil
}

type step struct{ do, undo func() error }

func ip(arguments ...string) func() error {
	return func() error { return run(append([]string{"ip"}, arguments...)...) }
}

// freePrefix finds a network that no interface of this machine is in.
func freePrefix() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for third := range 256 {
		// From a range that is meant for tests between networks (RFC 2544).
		prefix := fmt.Sprintf("198.18.%d", third)
		used := false
		for _, address := range addresses {
			if in, ok := address.(*net.IPNet); ok && in.Contains(net.ParseIP(prefix+".1")) {
				used = true
			}
		}
		if !used {
			return prefix, nil
		}
	}
	return "", errors.New("all networks of 198.18.0.0/16 are in use")
}

func (n *namespaces) space(server int) string { return fmt.Sprintf("%s-%d", n.bridge, server+1) }
func (n *namespaces) link(server int) string  { return fmt.Sprintf("%sv%d", n.bridge, server+1) }
func (n *namespaces) host(server int) string  { return fmt.Sprintf("%s.%d", n.prefix, server+1) }

func (n *namespaces) Address(server int, port string) string {
	return fmt.Sprintf("%s:%d", n.host(server), ports[port])
}

func (n *namespaces) URL(server int) string { return "nats://" + n.Address(server, "client") }

func (n *namespaces) Command(server int, command ...string) []string {
	return append([]string{"ip", "netns", "exec", n.space(server)}, command...)
}

func (n *namespaces) Cut(server int) error  { return ip("link", "set", n.link(server), "down")() }
func (n *namespaces) Mend(server int) error { return ip("link", "set", n.link(server), "up")() }

func (n *namespaces) Traffic() (sent, received uint64) {
	for server := range servers {
		// What a server sends is received by the end of its link that is here.
		sent += n.counter(server, "rx_bytes")
		received += n.counter(server, "tx_bytes")
	}
	return sent, received
}

func (n *namespaces) counter(server int, name string) uint64 {
	text, err := os.ReadFile("/sys/class/net/" + n.link(server) + "/statistics/" + name)
	if err != nil {
		return 0
	}
	count, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return count
}

func (n *namespaces) Close() error {
	var failed []error
	for i := len(n.made) - 1; i >= 0; i-- {
		failed = append(failed, n.made[i]())
	}
	n.made = nil
	return errors.Join(failed...)
}

func (n *namespaces) String() string {
	return "network namespaces on the bridge " + n.bridge + " (" + n.prefix + ".0/24)"
}

// removeLeft removes what runs have left that were themselves killed with -9.
func removeLeft() {
	links, err := net.Interfaces()
	if err != nil {
		return
	}
	for _, link := range links {
		number, ok := strings.CutPrefix(link.Name, "subpy")
		pid, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			continue
		}
		left := namespaces{bridge: link.Name}
		for server := range servers {
			_ = ip("netns", "del", left.space(server))() // its link goes with it
		}
		_ = ip("link", "del", left.bridge)()
	}
}
