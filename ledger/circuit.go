package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// tryTimeout bounds one question of the data plane to Redis.
	tryTimeout = time.Second
	// awayFor is how long nobody asks a Redis that could not be reached, unless a probe finds it sooner.
	awayFor = 250 * time.Millisecond
	// probeEvery is how soon RunReplay looks whether Redis is back.
	probeEvery = 50 * time.Millisecond
	// recoveryPatience bounds one attempt to recover a server in the background.
	recoveryPatience = time.Minute
)

// errAway is the answer while Redis is known to be away.
var errAway = fmt.Errorf("%w: Redis could not be reached a moment ago", ErrUnavailable)

// errAnew is the answer while a server that has come up anew is looked at.
var errAnew = fmt.Errorf("%w: Redis has come up anew, and is being looked at before anything is booked", ErrUnavailable)

// A circuit remembers that a server could not be reached, so that callers are
// refused at once instead of queueing up before it. There is one for a single
// server, and one a shard for a cluster, where one master may be away alone.
type circuit struct {
	// until is when the next may try, in ns since 1970; 0: closed, all may.
	until atomic.Int64
	// refused is what a server that answers and refuses to write (full, without replicas, its
	// disk full, a right missing) has said, while it is not asked for new holds.
	refused atomic.Pointer[refused]
	// unopened is why the last attempt to open a server that has come up anew has failed.
	unopened atomic.Pointer[refused]
	// convoy takes the data plane's calls there.
	convoy convoy
}

// refused is a refusal that every call would meet, and until when it is assumed to stand.
type refused struct {
	err   error
	until time.Time
}

// refusedFor is how long a server or a shard that has refused is not asked for new holds:
// each attempt leaves a record in the settlement log, to be given back.
const refusedFor = time.Second

// circuits is what a process knows of its servers' reachability: calls report to it by
// learn, and ask it by away.
type circuits struct {
	list []circuit
	// strange is the answers of shards that are not what this process knows of them, or
	// behind it.
	strange []atomic.Pointer[refused]
	// last is when a server was last found away or came back, in ns since 1970.
	last atomic.Int64
	// watched says that RunReplay probes: then no caller has to try.
	watched atomic.Bool
	// suspected tells RunReplay; it has room for one.
	suspected chan struct{}
}

func newCircuits(client redis.UniversalClient, shards int) *circuits {
	servers := 1 // that may be away apart from each other
	if _, cluster := client.(*redis.ClusterClient); cluster {
		servers = shards
	}
	c := &circuits{list: make([]circuit, servers), strange: make([]atomic.Pointer[refused], shards), suspected: make(chan struct{}, 1)}
	for i := range c.list {
		c.list[i].convoy.client = client
	}
	return c
}

func (c *circuits) of(shard int) *circuit { return &c.list[shard%len(c.list)] }

// away reports whether the shard's server is known to be away. Unwatched, it answers false
// to one caller now and then, which then finds out.
func (c *circuits) away(shard int) bool {
	server := c.of(shard)
	until := server.until.Load()
	if until == 0 {
		return false
	}
	now := time.Now()
	if c.watched.Load() || now.UnixNano() < until {
		return true
	}
	return !server.until.CompareAndSwap(until, now.Add(tryTimeout).UnixNano())
}

// stillAway is away without that exception.
func (c *circuits) stillAway(shard int) bool { return c.of(shard).until.Load() != 0 }

// refusing is what the shard, or its server, has just refused a hold for; nil if it is to be asked.
func (c *circuits) refusing(shard int) error {
	for _, last := range []*refused{c.of(shard).refused.Load(), c.strange[shard].Load()} {
		if last != nil && time.Now().Before(last.until) {
			return last.err
		}
	}
	return nil
}

// learnRefusal notes the outcome of a request for a hold.
func (c *circuits) learnRefusal(shard int, err error) {
	var ofShard strangeError
	switch {
	case refusesWrites(err):
		c.of(shard).refused.Store(&refused{err, time.Now().Add(refusedFor)})
	case errors.As(err, &ofShard):
		c.strange[shard].Store(&refused{err, time.Now().Add(refusedFor)})
	}
}

// learnOpening notes what an attempt to open a shard's server has come to.
func (c *circuits) learnOpening(shard int, err error) {
	if err == nil {
		c.of(shard).unopened.Store(nil)
		return
	}
	c.of(shard).unopened.Store(&refused{err, time.Now().Add(recoveryPatience)}) // others may open it, and the next attempt takes as long
}

// anew is errAnew, and what keeps the shard's server from being opened, if that is known.
func (c *circuits) anew(shard int) error {
	last := c.of(shard).unopened.Load()
	if last == nil || time.Now().After(last.until) {
		return errAnew
	}
	// As text: a refusal of Redis in there is not this call's own.
	return fmt.Errorf("%w: %s", errAnew, strings.TrimPrefix(last.err.Error(), ErrUnavailable.Error()+": "))
}

// learn notes the outcome of a call to a shard's server.
func (c *circuits) learn(shard int, err error) {
	server := c.of(shard)
	switch {
	case unreachable(err):
		c.foundAway(shard)
	case err == nil && server.until.Load() != 0:
		server.until.Store(0)
		c.last.Store(time.Now().UnixNano())
	}
}

// foundAway keeps callers from a shard's server for a while.
func (c *circuits) foundAway(shard int) {
	c.of(shard).until.Store(time.Now().Add(awayFor).UnixNano())
	c.suspect()
}

// suspect notes that Redis may lack what it had: the settlement log is to be
// replayed, and for a while no deadline is to be believed.
func (c *circuits) suspect() {
	c.last.Store(time.Now().UnixNano())
	select {
	case c.suspected <- struct{}{}:
	default:
	}
}

// How Redis 7.0, and later versions and Valkey, refuse a command that the user may not run
// from a script. What he may not run at all is NOPERM with all of them.
const (
	noRight7 = "The user executing the script can't run this command"
	noRight  = "ACL failure in script"
)

// refusesWrites reports whether an error is that of a server that answers and refuses
// writes, at least ours.
func refusesWrites(err error) bool {
	if err == nil {
		return false
	}
	var answer redis.Error
	prefixes := []string{"OOM", "NOREPLICAS", "MISCONF", "BUSY", "NOPERM", noRight7, noRight, "NOAUTH", "WRONGPASS"}
	return errors.As(err, &answer) && slices.ContainsFunc(prefixes, func(prefix string) bool {
		return redis.HasErrorPrefix(answer, prefix)
	})
}

// unreachable reports whether an error means that the server cannot serve now. A caller
// that gave up by itself has learned nothing about it.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if answer := redis.Error(nil); errors.As(err, &answer) {
		for _, prefix := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "TRYAGAIN"} {
			if redis.HasErrorPrefix(err, prefix) {
				return true
			}
		}
		return false
	}
	return !errors.Is(err, ErrUnavailable) // which is an answer that cannot be trusted, but an answer
}

// probe pings a shard's server and then runs a script on it: that is where a server that
// has come up anew is verified and recovered, while callers are refused instead of waiting
// for it.
func (l *Ledger) probe(ctx context.Context, shard int) error {
	short, cancel := context.WithTimeout(ctx, tryTimeout/2)
	defer cancel()
	if err := l.client.Exists(short, l.metaKey(shard)).Err(); err != nil {
		l.circuits.learn(shard, err)
		return err
	}
	long, cancelLong := context.WithTimeout(ctx, recoveryPatience)
	defer cancelLong()
	_, err := l.due(long, shard, 0)
	return err
}
