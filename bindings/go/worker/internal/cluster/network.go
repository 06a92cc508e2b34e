package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// A network is where the servers are, each at an end of a link that can be cut.
type network interface {
	// Address is where a server listens for clients, for other servers ("cluster") and for whoever asks how it is ("monitor").
	Address(server int, port string) string
	// URL is where clients reach it.
	URL(server int) string
	// Command is the command line that runs a program where a server is.
	Command(server int, command ...string) []string
	Cut(server int) error
	Mend(server int) error
	// Traffic is how many bytes all servers have sent and received; 0 where that is not known.
	Traffic() (sent, received uint64)
	Close() error
	String() string
}

const servers = 3

// newNetwork makes namespaces where that is allowed, and else proxies.
func newNetwork(kind string) (network, error) {
	switch kind {
	case "namespaces":
		return newNamespaces()
	case "proxies":
		return newProxies()
	}
	if os.Geteuid() == 0 {
		if n, err := newNamespaces(); err == nil {
			return n, nil
		}
	}
	return newProxies()
}

func urls(n network) string {
	var all []string
	for server := range servers {
		all = append(all, n.URL(server))
	}
	return strings.Join(all, ",")
}

// freePort is one that nobody listened on a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func run(command ...string) error {
	output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
