package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisServer is a redis-server of our own, with its files in a folder that goes away.
type redisServer struct {
	*process
	address string
	conn    *redisConn // kept, so that asking for INFO costs the server one read
}

func startRedis(ctx context.Context, h *house, dir string, settings ...string) (*redisServer, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	data := filepath.Join(dir, "redis-"+port)
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	args := []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", data,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
	}
	p, err := h.startSilent(ctx, "redis-server", address, "redis-server", append(args, settings...)...)
	if err != nil {
		return nil, fmt.Errorf("%w (make bench installs redis-server where it may)", err)
	}
	conn, err := dialRedis(ctx, address)
	if err != nil {
		return nil, err
	}
	return &redisServer{p, address, conn}, nil
}

// freeAddress finds a port on loopback that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// info asks for sections of INFO and returns their fields.
func (r *redisServer) info(sections ...string) (map[string]string, error) {
	reply, err := r.conn.do(append([]string{"INFO"}, sections...)...)
	if err != nil {
		return nil, err
	}
	text, _ := reply.(string)
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

func (r *redisServer) version() (string, error) {
	fields, err := r.info("server")
	return fields["redis_version"], err
}

// ping is the time there and back, as seldom as the open loop asks: the median.
func (r *redisServer) ping() (time.Duration, error) {
	const times, every = 100, 3 * time.Millisecond
	var took []time.Duration
	for range times {
		sleepUntil(time.Now().Add(every))
		start := time.Now()
		if _, err := r.conn.do("PING"); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return quantile(took, 0.5), nil
}

// redisUse is what clients have asked of a server so far.
type redisUse struct {
	scripts int64         // calls of scripts
	inside  time.Duration // time spent in them
	// reads from clients: without pipelining, the round trips. Asking is one itself, and counts itself.
	reads int64
}

func (r *redisServer) use() (u redisUse, err error) {
	fields, err := r.info("commandstats", "stats")
	if err != nil {
		return u, err
	}
	for _, name := range []string{"eval", "evalsha", "evalsha_ro", "fcall", "fcall_ro"} {
		stat := fields["cmdstat_"+name]
		u.scripts += statField(stat, "calls")
		u.inside += time.Duration(statField(stat, "usec")) * time.Microsecond
	}
	if u.reads, err = strconv.ParseInt(fields["total_reads_processed"], 10, 64); err != nil {
		return u, errors.New("redis does not count its reads: version 7.0 or later is needed")
	}
	return u, nil
}

// statField reads a number out of "calls=3,usec=45,…"; 0 for a command that was never called.
func statField(stat, name string) int64 {
	for field := range strings.SplitSeq(stat, ",") {
		if text, ok := strings.CutPrefix(field, name+"="); ok {
			n, _ := strconv.ParseInt(text, 10, 64) // Redis writes numbers.
			return n
		}
	}
	return 0
}
