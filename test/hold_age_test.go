package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A hold is as old as it is: the time in which a client sends its request, before
// there is a hold, is none of it.
func TestHoldAgeIsTheHolds(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
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

// metric is the value of a metric, named with its labels if it has some.
func (p *process) metric(name string) (value float64) {
	p.t.Helper()
	response, err := http.Get(p.admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(metrics), "\n"+name+" ")
	_, _ = fmt.Sscan(rest, &value)
	return value
}
