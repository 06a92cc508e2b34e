package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The test's program is the command when this says so.
const beCommand = "SUBPY_WORKER_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(beCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// SIGHUP ends a program that does not take it. A service may be told to reload before its worker is connected.
func TestHangupWhileItConnects(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it never says what a server says
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	command := exec.Command(os.Args[0], "--nats", "nats://"+listener.Addr().String(), t.TempDir())
	command.Env = append(os.Environ(), beCommand+"=1")
	var said strings.Builder
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	err = command.Wait() // it gives up on its own
	conn.Close()
	if code := command.ProcessState.ExitCode(); code != 1 || !strings.Contains(said.String(), "no connection to the NATS server") {
		t.Errorf("%v: %s", err, &said)
	}
}
