//go:build chaos

package e2e

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the archive, to take its lease away

	"github.com/tollgate/tollgate/internal/redistest"
)

func chaosRows(t *testing.T) []chaosRow {
	faults := redistest.WithFaults(t)
	always := redistest.WithAOF("always")
	noRewrite := redistest.WithConfig("--auto-aof-rewrite-percentage", "0")
	rows := []chaosRow{{name: "proxy killed at random", strike: (*chaos).killProxy, after: (*chaos).startProxy}}
	for _, at := range killPoints {
		rows = append(rows, chaosRow{
			name: "proxy killed at " + at.name, holdTTL: "15m", prepare: (*chaos).faultyWire,
			strike: func(c *chaos) ids { return c.killProxyAt(at.point) }, after: (*chaos).startProxy,
		})
	}
	return append(rows,
		chaosRow{name: "redis killed, always, disk hangs", redis: []redistest.Option{always, faults}, strike: (*chaos).killRedisAlways},
		chaosRow{name: "redis killed, everysec, disk hangs", archive: true, mustLose: true, redis: []redistest.Option{faults}, strike: (*chaos).killRedisSlow},
		chaosRow{
			name: "redis killed, tail cut off, no archive", mustLose: true, redis: []redistest.Option{noRewrite},
			before: (*chaos).setFloor, strike: (*chaos).killRedisWithLoss, after: (*chaos).restartProxy,
		},
		chaosRow{
			name: "redis killed, tail cut off", archive: true, mustLose: true, redis: []redistest.Option{noRewrite},
			before: (*chaos).setFloor, strike: (*chaos).killRedisWithLoss,
		},
		chaosRow{name: "redis stalled", strike: (*chaos).stallRedis},
		chaosRow{name: "connections cut, replies dropped", prepare: (*chaos).faultyWire, strike: (*chaos).cutWire},
		chaosRow{
			name: "failover to a lagging replica", archive: true, mustLose: true,
			prepare: (*chaos).faultyWire, before: (*chaos).startReplica, strike: (*chaos).failOver,
		},
		chaosRow{
			name: "archiver killed, doubled, late", archive: true,
			before: (*chaos).startSecond, strike: (*chaos).troubleArchivers, after: (*chaos).archiversWorked,
		},
		chaosRow{name: "clock stepped", redis: []redistest.Option{faults}, strike: (*chaos).stepClock},
	)
}

// serveProxy starts a proxy, behind the faulty wire if there is one.
func (c *chaos) serveProxy() *process {
	if c.faults == nil {
		return c.serve()
	}
	return c.serveBehind(c.faults)
}

func (c *chaos) faultyWire() { c.faults = startFaults(c.t, c.redis.Addr()) }

func (c *chaos) killProxy() ids {
	c.proxy.kill()
	return nil
}

// killProxyAt kills it in the midst of a stream. What the log then has must
// come to the books, although nobody was told so.
func (c *chaos) killProxyAt(point killPoint) ids {
	v := c.killAt(c.proxy, c.faults, c.key, point)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if v.logged {
		c.logged[v.id] = true
	}
	if v.whole() {
		c.received[v.id] = true
	}
	return nil
}

func (c *chaos) startProxy() { c.proxy = c.serveProxy() }

// restartProxy starts the proxy anew: without an archive, one that has seen the
// lost entries refuses the shard.
func (c *chaos) restartProxy() {
	c.proxy.stop()
	c.startProxy()
}

// killRedisAlways kills Redis while its disk hangs: what it has not synced it
// has not acknowledged either.
func (c *chaos) killRedisAlways() ids {
	c.redis.HangDisk()
	time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
	return c.killRedis()
}

// killRedisSlow kills Redis while a sync hangs: for two seconds everysec then
// writes nothing to its file of what it acknowledges.
func (c *chaos) killRedisSlow() ids {
	c.redis.HangDisk()
	if err := c.redis.AwaitHang(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond)
	c.before = c.bookedIn(c.redis.Client())
	return c.killRedis()
}

func (c *chaos) killRedis() ids {
	c.redis.Kill()
	c.redis.FreeDisk()
	c.promised = c.promisedSoFar()
	booked := c.onDisk()
	time.Sleep(200 * time.Millisecond) // for the calls that are refused meanwhile
	c.redis.Start()
	return booked
}

// killRedisWithLoss takes between a third and nine tenths of what the load has
// written off the end of the append-only file.
func (c *chaos) killRedisWithLoss() ids {
	c.before = c.bookedIn(c.redis.Client())
	file := c.aofTail()
	c.redis.Kill()
	info, err := os.Stat(file)
	if err != nil {
		c.t.Fatal(err)
	}
	floor := c.floor
	if file != c.floorOf {
		floor = 0 // begun since, by a recovery: what stood before is in the base file
	}
	keep := info.Size() - (info.Size()-floor)*int64(33+rand.IntN(57))/100
	if err := os.Truncate(file, keep); err != nil {
		c.t.Fatal(err)
	}
	c.promised = c.promisedSoFar()
	booked := c.onDisk()
	time.Sleep(200 * time.Millisecond)
	c.redis.Start()
	return booked
}

func (c *chaos) stallRedis() ids {
	c.redis.Pause()
	time.Sleep(3 * time.Second)
	c.redis.Resume()
	return nil
}

// aofTail is the file that Redis appends to, once no rewrite is under way.
func (c *chaos) aofTail() (file string) {
	eventually(c.t, "the append-only file is one", func() bool {
		info, err := c.redis.Client().Info(context.Background(), "persistence").Result()
		files, _ := filepath.Glob(filepath.Join(c.redis.Dir(), "appendonlydir", "*.incr.aof"))
		if err != nil || len(files) != 1 || !strings.Contains(info, "aof_rewrite_in_progress:0") || !strings.Contains(info, "aof_rewrite_scheduled:0") {
			return false
		}
		file = files[0]
		return true
	})
	return file
}

// setFloor protects what is in the append-only file now from being cut off.
func (c *chaos) setFloor() {
	c.floorOf = c.aofTail()
	info, err := os.Stat(c.floorOf)
	if err != nil {
		c.t.Fatal(err)
	}
	c.floor = info.Size()
}

// onDisk are the charges that the dead server has on disk: a second server, that
// no proxy knows, loads a copy.
func (c *chaos) onDisk() ids {
	dir := c.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(c.redis.Dir())); err != nil {
		c.t.Fatal(err)
	}
	looker, err := redistest.New(redistest.WithAOF("no"), redistest.WithConfig("--dir", dir))
	if err != nil {
		c.t.Fatal(err)
	}
	defer looker.Close()
	return c.bookedIn(looker.Client())
}

// bookedIn reads the charges of all journals as they stand in a server.
func (c *chaos) bookedIn(client *redis.Client) ids {
	ctx, booked := context.Background(), make(ids)
	journals, err := client.Keys(ctx, "*:journal").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, journal := range journals {
		entries, err := client.XRange(ctx, journal, "-", "+").Result()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, entry := range entries {
			if id, _ := entry.Values["r"].(string); entry.Values["t"] == "charge" {
				booked[id] = true
			}
		}
	}
	return booked
}

// onTheBooks are the charges that are there now, hot and archived.
func (c *chaos) onTheBooks() ids {
	booked := make(ids)
	for _, entry := range c.entries("acme", "charge") {
		booked[entry.Get("request_id").String()] = true
	}
	return booked
}

// cutWire cuts some connections at once, and others after Redis has executed
// what it was sent and the reply was dropped, for two seconds.
func (c *chaos) cutWire() ids {
	dropped := c.faults.dropped.Load()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		var muted []*wire
		c.faults.each(func(w *wire) {
			switch rand.IntN(4) {
			case 0:
				w.cut()
			case 1:
				w.silence()
				muted = append(muted, w)
			}
		})
		time.Sleep(time.Duration(10+rand.IntN(60)) * time.Millisecond)
		for _, w := range muted {
			w.cut()
		}
	}
	if c.faults.dropped.Load() == dropped {
		c.t.Error("no reply was dropped: this cycle proves nothing")
	}
	return nil
}

// startReplica starts a replica of the server, and waits until it has all.
func (c *chaos) startReplica() {
	host, port, err := net.SplitHostPort(c.redis.Addr())
	if err != nil {
		c.t.Fatal(err)
	}
	c.replica = redistest.Start(c.t, redistest.WithAOF("everysec"),
		redistest.WithConfig("--replicaof", host, port, "--repl-diskless-sync-delay", "0"))
	if err := c.replica.AwaitReplication(context.Background()); err != nil {
		c.t.Fatal(err)
	}
}

// failOver cuts the replica off from its master, lets the master acknowledge
// more, kills it, and puts the replica in its place.
func (c *chaos) failOver() ids {
	ctx := context.Background()
	if err := c.replica.Client().Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		c.t.Fatal(err)
	}
	time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond)
	c.before = c.bookedIn(c.redis.Client())
	c.redis.Kill()
	c.promised = c.promisedSoFar()
	if err := c.replica.Client().Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		c.t.Fatal(err)
	}
	booked := c.bookedIn(c.replica.Client())
	c.redis = c.replica
	c.writeConfig() // for the verbs
	c.faults.lead(c.redis.Addr())
	return booked
}

// startSecond starts another proxy, which archives, too.
func (c *chaos) startSecond() {
	if c.second == nil {
		c.second = c.serve()
	}
}

// troubleArchivers takes the lease away from whoever has it again and again, so
// that both archive at once, stops them in the midst of their work, so that what
// they have read is committed late, and in the end kills one.
func (c *chaos) troubleArchivers() ids {
	books, err := sql.Open("sqlite", "file:"+c.archivePath()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		c.t.Fatal(err)
	}
	defer books.Close()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if _, err := books.Exec("DELETE FROM leases"); err != nil {
			c.t.Fatal(err)
		}
		stopped := []*process{c.proxy, c.second}[rand.IntN(2)]
		if rand.IntN(3) == 0 {
			stopped.signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			stopped.signal(syscall.SIGCONT)
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
	}
	c.archivedBy[0] += c.proxy.archivedEntries()
	c.archivedBy[1] += c.second.archivedEntries()
	c.second.kill()
	return nil
}

// archiversWorked starts the killed one again, and demands that both had archived.
func (c *chaos) archiversWorked() {
	if c.archivedBy[0] == 0 || c.archivedBy[1] == 0 {
		c.t.Errorf("the two have archived %v entries: this cycle proves nothing", c.archivedBy)
	}
	c.second = c.serve()
}

// archivedEntries is how many entries a process has archived.
func (p *process) archivedEntries() int {
	p.t.Helper()
	return int(p.metric("tollgate_archive_archived_entries_total"))
}

// stepClock steps Redis's clock an hour ahead, in the midst of a stream: its
// hold is swept. Then two hours back, and it settles late. Then all is right again.
func (c *chaos) stepClock() ids {
	reached, release := c.up.stallOnly(victimMark, 5)
	v := c.startVictim(c.proxy, c.key)
	<-reached
	c.redis.SetClock(time.Hour)
	eventually(c.t, "the hold is swept", func() bool { return !c.held(v.id) })
	c.redis.SetClock(-time.Hour)
	release()
	<-v.got.ended
	c.mu.Lock()
	c.requests++
	if v.whole() {
		c.received[v.id] = true
	} else {
		c.t.Error("the stream did not end well")
	}
	c.mu.Unlock()
	time.Sleep(200 * time.Millisecond)
	c.redis.SetClock(0)
	return nil
}

// held reports whether Redis has a hold of a request.
func (c *chaos) held(id string) bool {
	ctx := context.Background()
	keys, err := c.redis.Client().Keys(ctx, "*:holds").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, key := range keys {
		if c.redis.Client().HExists(ctx, key, id).Val() {
			return true
		}
	}
	return false
}
