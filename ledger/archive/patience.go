package archive

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// patience is how long PostgreSQL may say nothing when it is waited for. One that
// stands still, or whose network does, breaks no connection: whoever archives
// would wait for ever, and nobody would be told that the archive is behind.
const patience = 30 * time.Second

// patiently makes connections that give up on a server that is silent for so long,
// also before it has taken them: TCP alone tries for two minutes.
func patiently(dial pgconn.DialFunc, patience time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: conn, patience: patience}, nil
	}
}

type patientConn struct {
	net.Conn
	patience time.Duration

	mu    sync.Mutex
	bound bool // by a deadline of the driver's, as when a context ends
}

func (c *patientConn) Read(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *patientConn) wait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bound {
		return nil
	}
	return c.Conn.SetReadDeadline(time.Now().Add(c.patience))
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = !t.IsZero()
	return c.Conn.SetDeadline(t)
}
