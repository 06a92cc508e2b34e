package main

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestProxyThatIsCutHoldsBack(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
		}
	}()
	p, err := newProxy(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	n := &proxies{proxies: [servers]*proxy{p}}
	conn, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 1)
	echo := func(patience time.Duration) error {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadFull(conn, answer)
		return err
	}
	write := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}

	write("a")
	if err := echo(10 * time.Second); err != nil || answer[0] != 'a' {
		t.Fatalf("got %q, %v", answer, err)
	}
	if err := n.Cut(0); err != nil {
		t.Fatal(err)
	}
	write("b")
	if err := echo(200 * time.Millisecond); err == nil {
		t.Fatalf("%q has passed", answer)
	}
	if err := n.Mend(0); err != nil {
		t.Fatal(err)
	}
	if err := echo(10 * time.Second); err != nil || answer[0] != 'b' {
		t.Fatalf("got %q, %v", answer, err)
	}
}
