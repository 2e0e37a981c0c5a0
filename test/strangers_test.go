package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever has no key costs a MiB of memory, not all of policy.max_body: what a
// key looks like everybody knows. He is refused while most is still to come.
func TestStrangersSendNoLongBodies(t *testing.T) {
	_, p, key := acme(t)
	for name, secret := range map[string]string{"unknown account": "tg-nobody-" + strings.Repeat("a", 43), "wrong secret": key[:len(key)-4] + "aaaa"} {
		conn := p.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", chatPath, secret, 60<<20)
		go func() { _, _ = fmt.Fprint(conn, strings.Repeat(" ", 3<<20)) }()
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: 3 of 60 MiB were taken, and no word: %v", name, err)
			continue
		}
		equal(t, name+": status", response.StatusCode, 401)
	}
	long := chat("gpt-4o", "usage=100,50", `"x":"`+strings.Repeat("x", 5<<20)+`"`, `"max_tokens":10`)
	if r := p.post(chatPath, key, long); r.status == 401 {
		t.Errorf("a long body of a key that is good: %d %s", r.status, r.body)
	}
}
