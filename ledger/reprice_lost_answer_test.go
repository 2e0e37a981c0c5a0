package ledger

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// A command whose answer is lost is sent again: that the charge is priced anew by then is no reason to say that it was left alone.
func TestRepricingWhoseAnswerWasLost(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	lose, address := loseOneReply(t, f.server.Addr())
	l, err := Open(f.ctx(), Options{URL: "redis://" + address, Shards: 1})
	f.must(err)
	t.Cleanup(func() { _ = l.Close() })
	var left error
	sum, err := l.Reprice(f.ctx(), Repricing{Reason: "x"}, func(*Entry) (meter.Charge, error) {
		lose.Store(true)
		return charge(f, "input 1 3"), nil
	}, func(r *Repriced) { left = errors.Join(left, r.Left) })
	f.must(err)
	if lose.Load() {
		t.Fatal("no answer was lost")
	}
	if left != nil || sum.Repriced != 1 || sum.After != f.nano("3") {
		t.Errorf("left: %v; %+v", left, sum)
	}
	f.balances("acme", "7 0 0")
}

// loseOneReply stands before a Redis; when it is told to, it breaks a connection off in place of the next reply.
func loseOneReply(t *testing.T, server string) (lose *atomic.Bool, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	lose = new(atomic.Bool)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				return
			}
			go copyConn(behind, client, nil)
			go copyConn(client, behind, lose)
		}
	}()
	return lose, listener.Addr().String()
}

func copyConn(to, from net.Conn, lose *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if err != nil || lose != nil && lose.CompareAndSwap(true, false) {
			return
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}
