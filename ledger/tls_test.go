package ledger

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

// An authority signs certificates.
type authority struct {
	testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := &authority{TB: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = a.sign(template, template, nil)
	return a
}

// sign makes a certificate with a key of its own; nil is signed by itself.
func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	if by == nil {
		by = key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		a.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		a.Fatal(err)
	}
	return certificate, key
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// serve starts a Redis that speaks TLS, with a certificate for a host, and returns its address.
func (a *authority) serve(host string) string {
	a.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour)}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	certificate, key := a.sign(template, a.certificate, a.key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	_ = listener.Close() // Redis listens there in its place
	redistest.Start(a, redistest.WithConfig("--tls-port", strconv.Itoa(address.Port), "--tls-auth-clients", "no",
		"--tls-cert-file", a.file("CERTIFICATE", certificate.Raw), "--tls-key-file", a.file("EC PRIVATE KEY", der),
		"--tls-ca-cert-file", a.file("CERTIFICATE", a.certificate.Raw)))
	return address.String()
}

func (a *authority) file(kind string, content []byte) string {
	path := filepath.Join(a.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		a.Fatal(err)
	}
	return path
}

// A server is believed by the first host's name, or by its own.
func TestCertificatesOfServers(t *testing.T) {
	a := newAuthority(t)
	for _, c := range []struct {
		of, first string
		want      string
	}{
		{of: "127.0.0.1", first: "127.0.0.1"},
		{of: "books.example", first: "books.example"}, // of a managed cluster
		{of: "127.0.0.1", first: "books.example"},     // each of its own
		{of: "other.example", first: "books.example", want: "valid for other.example, not books.example"},
		{of: "other.example", first: "127.0.0.1", want: "cannot validate certificate for 127.0.0.1"},
	} {
		address := a.serve(c.of)
		for name, roots := range map[string]*x509.CertPool{"": a.roots(), "an unknown authority": x509.NewCertPool()} {
			want := c.want
			if name != "" && want == "" {
				want = "unknown authority"
			}
			client := redis.NewClient(&redis.Options{Addr: address, Dialer: secureDialer(c.first, roots), MaxRetries: -1, DialerRetries: 1})
			err := client.Ping(t.Context()).Err()
			_ = client.Close()
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("a certificate of %s, asked for as %s, %s: %v", c.of, c.first, name, err)
			}
		}
	}
}

// What waits for an answer in plain text is given up in time.
func TestTLSWithAServerThatIsSilent(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, err = secureDialer("127.0.0.1", nil)(context.WithoutCancel(t.Context()), "tcp", mute.Addr().String())
	if err == nil {
		t.Error("a handshake without an answer")
	}
}

// Sentinels have passwords of their own.
func TestSentinelWithAPassword(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	s := redistest.StartSentinel(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(s.URL(), "redis+sentinel://"), "/")
	sentinel := redis.NewClient(&redis.Options{Addr: host})
	defer sentinel.Close()
	if err := sentinel.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">s&cret").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{URL: s.URL(), Currency: "CNY", Shards: 1}); err == nil {
		t.Error("a sentinel is asked without its password")
	}
	f := openAt(t, Options{URL: s.URL() + "?sentinel_password=s%26cret", Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.balances("acme", "10 0 0")
}
