package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// startUpstream starts the simulated upstream. Where TLS is asked for, it has a
// second listener for the proxies; the certificate is its own, and this process's
// children trust it.
func (s *setup) startUpstream(ctx context.Context, h *house, o *options) error {
	args, says, proxied := []string{"role-upstream", o.upstream}, []string(nil), "listening"
	if o.tls {
		trusted := filepath.Join(s.dir, "upstream.pem")
		if err := os.Setenv("SSL_CERT_FILE", trusted); err != nil {
			return err
		}
		args, says, proxied = append(args, trusted), []string{"secured"}, "secured"
	}
	up, urls, err := h.startServer(ctx, "upstream", says, s.self, args...)
	if err != nil {
		return err
	}
	s.upstream, s.plainURL, s.upstreamURL = up, urls["listening"], urls[proxied]
	return nil
}

// listenSecured opens a listener on which the upstream speaks TLS as providers
// do, says where, and leaves its certificate in a file.
func listenSecured(ctx context.Context, stdout io.Writer, file string) (net.Listener, error) {
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	if err := os.WriteFile(file, trusted, 0o600); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	_, err = fmt.Fprintf(stdout, "secured on https://%s\n", listener.Addr())
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}), err
}

// newCertificate makes a certificate for loopback, signed by itself.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
