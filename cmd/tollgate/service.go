package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/internal/http1"
	"github.com/tollgate/tollgate/proxy"
)

const (
	// headTimeout is how long a client may take to send a request's head,
	// idleTimeout how long a connection may be kept without one, or a MiB of a body
	// may take; writeTimeout is how long a client may take nothing of its answer until
	// it counts as gone. There is no limit on an answer: a stream may take as
	// long as it takes.
	headTimeout  = 10 * time.Second
	idleTimeout  = 2 * time.Minute
	writeTimeout = time.Minute
	maxHead      = 64 << 10
	// tellTimeout is how long clients have to take what they are told of their calls' being cut.
	tellTimeout = time.Second
	// cutTimeout is how long calls that were cut have to be settled.
	cutTimeout = 15 * time.Second
	// adminTimeout is how long what operators have asked for has to end, after the calls: longer than a booking waits for the archive.
	adminTimeout = 7 * time.Second
)

// A service is the proxy behind its listeners, from the first call to the last.
type service struct {
	log    *zap.Logger
	proxy  *proxy.Proxy
	public net.Listener
	// admin and adminHandler are nil without an admin listener.
	admin        net.Listener
	adminHandler http.Handler
	draining     atomic.Bool
}

// run serves until ctx is done, then drains: no new calls, those in flight end
// and are settled. A signal on cut ends the drain; what was delivered until then is charged.
func (s *service) run(ctx context.Context, cut <-chan struct{}) error {
	failed, errorLog := make(chan error, 2), zap.NewStdLog(s.log.Named("http"))
	public := newServer(s.proxy, errorLog)
	serve(public, s.public, failed)
	defer public.Close() // after Shutdown there is nothing left to close
	expire := public.Expire
	if s.admin != nil {
		admin := newServer(s.adminHandler, errorLog)
		// The admin side stays up during the drain: it tells that there is one.
		serve(admin, s.admin, failed)
		defer s.closeAdmin(context.WithoutCancel(ctx), admin)
		expire = func() { public.Expire(); admin.Expire() } // the console's playground is served there
	}
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failed:
	}
	return errors.Join(failure, s.drain(context.WithoutCancel(ctx), public, expire, cut))
}

func newServer(handler http.Handler, errorLog *log.Logger) *http1.Server {
	return &http1.Server{
		Handler: handler, HeadTimeout: headTimeout, IdleTimeout: idleTimeout, WriteTimeout: writeTimeout, MaxHead: maxHead,
		ErrorLog: errorLog,
	}
}

// closeAdmin lets what operators have asked for end: whoever is cut off does not know whether it is booked.
func (s *service) closeAdmin(ctx context.Context, admin *http1.Server) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if err := admin.Shutdown(ctx); err != nil {
		s.log.Warn("requests to the admin side were cut off", zap.Error(err))
		_ = admin.Close()
	}
	s.proxy.Abort() // a call of the console may have been on its way in when the others had ended
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cutTimeout)
	defer cancel()
	if err := s.proxy.Wait(ctx); err != nil {
		s.log.Error("calls of the console did not end: their holds are left to the sweeper", zap.Error(err))
	}
}

// serve serves a listener; what ends it too early goes to failed.
func serve(server interface{ Serve(net.Listener) error }, l net.Listener, failed chan<- error) {
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("listening on %s: %w", l.Addr(), err)
		}
	}()
}

// drain lets the calls end. If that is cut, clients that have not read what they
// were told by then are given up by expire.
func (s *service) drain(ctx context.Context, public *http1.Server, expire func(), cut <-chan struct{}) error {
	s.log.Info("draining: no new calls, those in flight end; a second signal cuts them")
	s.draining.Store(true)
	s.proxy.SetDraining(true)
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	drained := make(chan error, 1)
	go func() { drained <- errors.Join(public.Shutdown(ctx), s.proxy.Wait(ctx)) }()
	select {
	case err := <-drained:
		return err
	case <-cut:
	}
	s.log.Warn("the drain is cut: calls in flight are charged for what was delivered, or released")
	s.proxy.Abort()
	defer time.AfterFunc(tellTimeout, expire).Stop() // a call may be waiting for its client
	select {
	case err := <-drained:
		return err
	case <-time.After(cutTimeout):
		giveUp()
		return fmt.Errorf("calls in flight did not end within %s of being cut: their holds are left to the sweeper: %w", cutTimeout, <-drained)
	}
}

// signals are the process's signals as a server takes them.
type signals struct {
	// stop is done at the first signal that ends it, or with the parent.
	stop context.Context
	// cut is closed at the second; reload gets every SIGHUP, unless that ends it.
	cut    <-chan struct{}
	reload <-chan os.Signal
}

// endings are the signals that end a program. SIGHUP is one where nothing can be
// reloaded: its terminal is gone. One that was told to ignore that (nohup) goes on.
func endings(reloads bool) []os.Signal {
	list := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !reloads && !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// catchSignals takes the signals over until release is called.
func catchSignals(parent context.Context, reloads bool) (s signals, release func()) {
	stop, cancel := context.WithCancel(parent)
	ends, reload := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(ends, endings(reloads)...)
	if reloads {
		signal.Notify(reload, syscall.SIGHUP)
	}
	cut, released := make(chan struct{}), make(chan struct{})
	go func() {
		for range 2 {
			select {
			case <-ends:
				if stop.Err() != nil {
					close(cut)
					return
				}
				cancel()
			case <-released:
				return
			}
		}
	}()
	return signals{stop, cut, reload}, func() {
		signal.Stop(ends)
		signal.Stop(reload)
		close(released)
		cancel()
	}
}

// listen opens a listener; setting is where its address stands, for the error.
func listen(ctx context.Context, address, setting string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another process: stop it, or set %s to another address", address, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", address, setting, err)
	}
	return l, nil
}
