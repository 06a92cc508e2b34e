package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// serve starts a server, and returns its address.
func serve(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s.ClientURL()
}

// connects reads a command line, and connects with it.
func connects(t *testing.T, args ...string) error {
	t.Helper()
	s, err := readSettings(append(args, "--code", "."))
	if err != nil {
		t.Fatal(err)
	}
	nc, end, err := s.connect(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer end()
	defer nc.Close()
	if err := nc.Publish("x", nil); err != nil {
		return err
	}
	return nc.FlushTimeout(30 * time.Second)
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: %q is not said", err, word)
		}
	}
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signed makes a certificate that signs itself, when by is nil, or that by signs.
func signed(t *testing.T, by *tls.Certificate) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: by == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if pair, err = tls.X509KeyPair(cert, keyPEM); err != nil {
		t.Fatal(err)
	}
	return pair, write(t, "cert.pem", cert), write(t, "key.pem", keyPEM)
}

func TestTLS(t *testing.T) {
	ca, caFile, _ := signed(t, nil)
	own, certFile, keyFile := signed(t, &ca)
	_, otherFile, otherKeyFile := signed(t, nil)
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.Leaf)
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	address := strings.Replace(serve(t, &server.Options{TLSConfig: config, TLSVerify: true, TLSTimeout: 30}), "nats:", "tls:", 1)

	if err := connects(t, "--nats", address, "--tls-ca", caFile, "--tls-cert", certFile, "--tls-key", keyFile); err != nil {
		t.Error(err)
	}
	says(t, connects(t, "--nats", address, "--tls-cert", certFile, "--tls-key", keyFile), address, "unknown authority", "--tls-ca")
	says(t, connects(t, "--nats", address, "--tls-ca", otherFile, "--tls-cert", certFile, "--tls-key", keyFile), "unknown authority")
	says(t, connects(t, "--nats", address, "--tls-ca", "nowhere.pem"), "nowhere.pem")
	says(t, connects(t, "--nats", address, "--tls-ca", caFile), "ask for a certificate", "--tls-key")
	says(t, connects(t, "--nats", address, "--tls-ca", caFile, "--tls-cert", otherFile, "--tls-key", otherKeyFile), "trust who signed")
}

func TestCredentials(t *testing.T) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public := func(pair nkeys.KeyPair) string {
		key, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	token, err := jwt.NewAccountClaims(public(account)).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(public(account), token); err != nil {
		t.Fatal(err)
	}
	address := serve(t, &server.Options{TrustedKeys: []string{public(operator)}, AccountResolver: resolver})

	userToken, err := jwt.NewUserClaims(public(user)).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(userToken, seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := connects(t, "--nats", address, "--creds", write(t, "user.creds", creds)); err != nil {
		t.Error(err)
	}
	says(t, connects(t, "--nats", address), "Authorization", "--creds")
	says(t, connects(t, "--nats", address, "--creds", "nowhere.creds"), "nowhere.creds")
}

func TestTokens(t *testing.T) {
	address := serve(t, &server.Options{Authorization: "right"})
	with := func(token string) string { return strings.Replace(address, "nats://", "nats://"+token+"@", 1) }
	if err := connects(t, "--nats", with("right")); err != nil {
		t.Error(err)
	}
	err := connects(t, "--nats", with("mistaken"))
	says(t, err, "Authorization", "nats://xxxxx@")
	if strings.Contains(err.Error(), "mistaken") {
		t.Errorf("a token is said: %v", err)
	}
	if err := connects(t, "--nats", "nats://u:mistaken%zz@host"); err == nil || strings.Contains(err.Error(), "mistaken") {
		t.Errorf("a password is said, or no error: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	address := serve(t, &server.Options{Username: "u", Password: "right"})
	with := func(password string) string { return strings.Replace(address, "nats://", "nats://u:"+password+"@", 1) }
	if err := connects(t, "--nats", with("right")); err != nil {
		t.Error(err)
	}
	err := connects(t, "--nats", with("wrong")+", "+with("mistaken"))
	says(t, err, "Authorization", "--creds", "u:xxxxx@")
	if strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "mistaken") {
		t.Errorf("a password is said: %v", err)
	}
}
