package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// Proxies stand between the clients and each server. One that is cut passes nothing on, and does not say so.
type proxies struct {
	ports   [servers]map[string]int
	proxies [servers]*proxy
}

func newProxies() (*proxies, error) {
	n := new(proxies)
	for server := range servers {
		n.ports[server] = map[string]int{}
		for port := range ports {
			free, err := freePort()
			if err != nil {
				return nil, errors.Join(err, n.Close())
			}
			n.ports[server][port] = free
		}
		p, err := newProxy(n.Address(server, "client"))
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		n.proxies[server] = p
	}
	return n, nil
}

func (n *proxies) Address(server int, port string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.ports[server][port]))
}

func (n *proxies) URL(server int) string {
	return "nats://" + n.proxies[server].listener.Addr().String()
}

func (n *proxies) Command(_ int, command ...string) []string { return command }

func (n *proxies) Cut(server int) error {
	n.proxies[server].gate.Lock()
	return nil
}

func (n *proxies) Mend(server int) error {
	n.proxies[server].gate.Unlock()
	return nil
}

func (n *proxies) Traffic() (sent, received uint64) { return 0, 0 }

func (n *proxies) Close() error {
	var failed []error
	for _, p := range n.proxies {
		if p != nil {
			failed = append(failed, p.close())
		}
	}
	return errors.Join(failed...)
}

func (n *proxies) String() string { return "TCP proxies on 127.0.0.1 between clients and servers" }

type proxy struct {
	listener net.Listener
	server   string
	gate     sync.RWMutex // locked while the link is cut

	mu    sync.Mutex
	conns map[net.Conn]bool // nil when it is closed
}

func newProxy(server string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a proxy for %s: %w", server, err)
	}
	p := &proxy{listener: listener, server: server, conns: map[net.Conn]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	p.gate.RLock()
	server, err := net.Dial("tcp", p.server)
	p.gate.RUnlock()
	if err != nil {
		return
	}
	if !p.keep(server) {
		return
	}
	defer p.drop(server)
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			p.pass(way[1], way[0])
			ended <- struct{}{}
		}()
	}
	<-ended
}

func (p *proxy) pass(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.gate.RLock()
		_, err = to.Write(buffer[:n])
		p.gate.RUnlock()
		if err != nil {
			return
		}
	}
}

func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn.Close()
	delete(p.conns, conn)
}

func (p *proxy) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
	return p.listener.Close()
}
