package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// A hold is as old as it is: the time in which a client sends its request, before
// there is a hold, is none of it.
func TestHoldAgeIsTheHolds(t *testing.T) {
	_, p, key := acme(t)
	body, conn := chat("gpt-4o", "usage=100,50"), p.dial()
	say(t, conn, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{",
		chatPath, key, len(body)))
	const wait = 3 * time.Second
	time.Sleep(wait)
	say(t, conn, body[1:])
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Fatalf("%v, %s", err, answer)
	}
	if age := p.metric("tollgate_hold_age_seconds_sum"); age <= 0 || age >= wait.Seconds() {
		t.Errorf("the hold was %gs old", age)
	}
	equal(t, "holds", p.metric("tollgate_hold_age_seconds_count"), 1)
}
