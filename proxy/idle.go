package proxy

import (
	"slices"
	"sync"
	"time"
)

const (
	maxIdlePerHost = 1024
	idleLife       = 90 * time.Second
	// sweepEvery is how often idle connections are looked at.
	sweepEvery = 10 * time.Second
)

// idlePool has the connections that wait for their next request. Nobody reads from them
// meanwhile, so a close by the upstream is noticed when one is taken, or by the next
// sweep.
type idlePool struct {
	mu    sync.Mutex
	hosts map[string][]*upstreamConn // by scheme and host, the last used last
	swept bool                       // a sweep is to come
}

// take returns the connection to a host that was used last and can still be
// used; nil: there is none.
func (p *idlePool) take(host string) *upstreamConn {
	for {
		conn := p.pop(host)
		if conn == nil || conn.isUsable(time.Now()) {
			return conn
		}
		_ = conn.Close()
	}
}

func (p *idlePool) pop(host string) *upstreamConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.hosts[host]
	if len(list) == 0 {
		return nil
	}
	conn := list[len(list)-1]
	list[len(list)-1] = nil
	p.hosts[host] = list[:len(list)-1]
	return conn
}

// put keeps a connection for the next request, and closes the one that has been
// idle longest if they are too many.
func (p *idlePool) put(conn *upstreamConn) {
	conn.since = time.Now()
	conn.reader.Release()
	if old := p.push(conn); old != nil {
		_ = old.Close()
	}
}

func (p *idlePool) push(conn *upstreamConn) (old *upstreamConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.hosts[conn.host]
	list = append(list, conn)
	if len(list) > maxIdlePerHost {
		old = list[0]
		list = slices.Delete(list, 0, 1)
	}
	p.hosts[conn.host] = list
	p.sweepLater()
	return old
}

// sweep closes what cannot be used any more, and comes again while there is
// something to look at. A look takes a microsecond or two.
func (p *idlePool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swept = false
	now := time.Now()
	for host, list := range p.hosts {
		list = slices.DeleteFunc(list, func(conn *upstreamConn) bool {
			usable := conn.isUsable(now)
			if !usable {
				_ = conn.Close()
			}
			return !usable
		})
		if p.hosts[host] = list; len(list) == 0 {
			delete(p.hosts, host)
			continue
		}
		p.sweepLater()
	}
}

func (p *idlePool) sweepLater() {
	if !p.swept {
		p.swept = true
		time.AfterFunc(sweepEvery, p.sweep)
	}
}

// isUsable reports whether an idle connection may have another request. However
// short it was idle, its upstream may have closed it, or said something unasked.
func (c *upstreamConn) isUsable(now time.Time) bool {
	return now.Sub(c.since) < idleLife && c.reader.Quiet()
}
