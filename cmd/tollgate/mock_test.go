package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestMock(t *testing.T) {
	b := boot(t, nil, "mock", "--listen", ":0", "--json")
	var where struct{ Listening string }
	b.stdout.line(t, "}", 1)
	if err := json.Unmarshal([]byte(b.stdout.text()), &where); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(where.Listening, "http://127.0.0.1:") {
		t.Errorf("a bare port must be the loopback: %s", where.Listening)
	}
	if status := chat(t, where.Listening, "any", "gpt-4o"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	b.stop()
	if exit := b.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, b.stderr.text())
	}
}

func TestMockKey(t *testing.T) {
	b := boot(t, nil, "mock", "--listen", "127.0.0.1:0", "--key", "right")
	url := b.address("listening on")
	if status := chat(t, url, "wrong", "gpt-4o"); status != http.StatusUnauthorized {
		t.Errorf("status %d for a wrong key", status)
	}
	if status := chat(t, url, "right", "gpt-4o"); status != http.StatusOK {
		t.Errorf("status %d for the right key", status)
	}
}
