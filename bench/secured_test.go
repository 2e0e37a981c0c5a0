package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Before proxies the upstream may speak TLS, with a certificate that its file vouches for.
func TestUpstreamSpeaksTLS(t *testing.T) {
	said, say := io.Pipe()
	file := filepath.Join(t.TempDir(), "upstream.pem")
	go func() {
		listener, err := listenSecured(t.Context(), say, file)
		if err != nil {
			t.Error(err)
		} else {
			_ = newUpstream(allLoads()).accept(listener) // It ends with the test.
		}
		_ = say.CloseWithError(err)
	}()
	line := make([]byte, 200)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "secured on ")
	certificate, err := os.ReadFile(file)
	trusted := x509.NewCertPool()
	if err != nil || !ok || !trusted.AppendCertsFromPEM(certificate) {
		t.Fatalf("%q, %v", line[:n], err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	l := small()
	answer, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"`+l.model+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || err != nil || !strings.Contains(string(body), `"usage"`) {
		t.Errorf("%d %.200s, %v", answer.StatusCode, body, err)
	}
}
