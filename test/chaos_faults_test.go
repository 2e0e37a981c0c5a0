//go:build chaos

package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

func chaosRows() []chaosRow {
	always := []redistest.Option{redistest.WithConfig("--appendfsync", "always")}
	return []chaosRow{
		{name: "proxy killed", strike: (*chaos).killProxy, after: (*chaos).startProxy},
		{name: "redis killed, always", redis: always, strike: (*chaos).killRedis},
		{name: "redis killed, everysec, tail lost", mustLose: true, strike: (*chaos).killRedisWithLoss, after: (*chaos).restartProxy},
		{name: "redis stalled", strike: (*chaos).stallRedis},
		{name: "connections cut, replies dropped", prepare: (*chaos).faultyWire, strike: (*chaos).cutWire},
		{name: "archive, redis killed, tail lost", archive: true, mustLose: true, strike: (*chaos).killRedisWithLoss},
	}
}

// serveProxy starts a proxy, behind the faulty wire if there is one.
func (c *chaos) serveProxy() *process {
	if c.faults == nil {
		return c.serve()
	}
	straight := c.config
	defer func() { c.config = straight }()
	c.config = filepath.Join(c.dir, "faulty.yaml")
	return c.serve()
}

func (c *chaos) killProxy() ids {
	c.proxy.kill()
	return nil
}

func (c *chaos) startProxy() { c.proxy = c.serveProxy() }

// restartProxy starts the proxy anew: without an archive, one that has seen the
// lost entries refuses the shard.
func (c *chaos) restartProxy() {
	c.proxy.stop()
	c.startProxy()
}

func (c *chaos) killRedis() ids {
	c.redis.Kill()
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

// A faultProxy stands between the proxy and Redis.
type faultProxy struct {
	listener net.Listener
	target   string
	dropped  atomic.Int64 // replies, more or less: reads of some

	mu    sync.Mutex
	wires map[*wire]bool
}

// A wire is a connection through it. A mute one executes and does not answer.
type wire struct {
	near, far net.Conn
	dropped   *atomic.Int64
	mu        sync.Mutex
	mute      bool
}

func (c *chaos) faultyWire() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.faults = &faultProxy{listener: listener, target: c.redis.Addr(), wires: make(map[*wire]bool)}
	var serving sync.WaitGroup
	serving.Go(func() { c.faults.serve(&serving) })
	c.t.Cleanup(func() {
		_ = listener.Close()
		c.faults.each(func(w *wire) { w.cut() })
		serving.Wait()
	})
	config, err := os.ReadFile(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("faulty.yaml", strings.Replace(string(config), c.redis.Addr(), listener.Addr().String(), 1))
}

func (f *faultProxy) serve(serving *sync.WaitGroup) {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", f.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		w := &wire{near: near, far: far, dropped: &f.dropped}
		f.mu.Lock()
		f.wires[w] = true
		f.mu.Unlock()
		serving.Go(func() { w.pump(near, far, false) })
		serving.Go(func() {
			w.pump(far, near, true)
			f.mu.Lock()
			delete(f.wires, w)
			f.mu.Unlock()
		})
	}
}

// pump carries bytes one way; the way of the replies can be mute.
func (w *wire) pump(from, to net.Conn, replies bool) {
	defer w.cut()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		w.mu.Lock()
		drop := replies && w.mute
		w.mu.Unlock()
		if drop {
			w.dropped.Add(1)
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (w *wire) cut() {
	_ = w.near.Close()
	_ = w.far.Close()
}

func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = true
}

// each does something with every wire that there is.
func (f *faultProxy) each(do func(w *wire)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.wires {
		do(w)
	}
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
