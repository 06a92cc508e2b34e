package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
)

// connect connects to the server that is named, or starts one inside the program.
func (s *settings) connect(log *slog.Logger) (nc *nats.Conn, end func(), err error) {
	options := []nats.Option{
		nats.Name("subpy-worker-nats"), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectBufSize(32 << 20),
		// A link on which packets vanish is noticed by what does not come back.
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the connection to the NATS server is lost, and tried again", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("connected again", "server", redacted(nc.ConnectedUrl())) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "error", err) }),
	}
	if s.nats == "" {
		return s.connectEmbedded(log, options)
	}
	if s.creds != "" {
		options = append(options, nats.UserCredentials(s.creds))
	}
	if s.tlsCA != "" {
		options = append(options, nats.RootCAs(s.tlsCA))
	}
	if s.tlsCert != "" {
		options = append(options, nats.ClientCert(s.tlsCert, s.tlsKey))
	}
	nc, err = nats.Connect(s.nats, options...)
	if err != nil {
		hint := "is it the right address, and does a nats-server run there?"
		var unreadable *url.Error
		if errors.As(err, &unreadable) {
			err = unreadable.Err // without the address
		}
		var unknown x509.UnknownAuthorityError
		switch {
		case errors.Is(err, nats.ErrAuthorization) || strings.Contains(err.Error(), "Authorization"):
			hint = "give the server's credentials with --creds, or as nats://USER:PASSWORD@HOST."
		case errors.As(err, &unknown):
			hint = "name a file with the certificate of who signed it with --tls-ca."
		// With TLS 1.3 a server refuses a client after the handshake, so what it says may come after the end of the connection.
		case errors.Is(err, nats.ErrTLS) || strings.Contains(err.Error(), "remote error: tls:"):
			hint = "the server may ask for a certificate of its clients: give it with --tls-cert and --tls-key."
			if s.tlsCert != "" {
				hint = "does the server trust who signed the certificate of --tls-cert?"
			}
		}
		return nil, nil, fmt.Errorf("no connection to the NATS server %s: %w: %s Without --nats a server is started inside the program",
			redacted(s.nats), err, hint)
	}
	log.Info("connected", "server", redacted(nc.ConnectedUrl()))
	return nc, func() {}, nil
}

// redacted is a list of addresses without their passwords, and without tokens, which stand where names of users do.
func redacted(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, address := range list {
		parsed, err := url.Parse(strings.TrimSpace(address))
		if err != nil {
			list[i] = "(an address that cannot be read)"
			continue
		}
		if _, password := parsed.User.Password(); parsed.User != nil && !password {
			parsed.User = url.User("xxxxx")
		}
		list[i] = parsed.Redacted()
	}
	return strings.Join(list, ",")
}

func (s *settings) connectEmbedded(log *slog.Logger, options []nats.Option) (nc *nats.Conn, end func(), err error) {
	server, err := embedded.Start(embedded.Options{Store: s.store, Listen: s.listen, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	nc, err = nats.Connect("", append(options, nats.InProcessServer(server))...)
	if err != nil {
		server.Stop()
		return nil, nil, fmt.Errorf("the embedded nats-server: %w", err)
	}
	log.Info("a nats-server runs inside the program", "address", "nats://"+server.Addr().String(), "store", server.StoreDir())
	return nc, server.Stop, nil
}
