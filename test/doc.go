// Package e2e holds the whole-program tests. Each boots the real binary on
// port 0, with a real redis-server and the simulated upstream, and looks at it
// only from outside: HTTP, the command line, signals, and Redis's own faults.
//
//	go test ./test/...                  all of them; make e2e-deps installs the SDKs first
//	TOLLGATE_E2E_NO_RACE=1              builds the binary without the race detector
//	TOLLGATE_E2E_BINARY=PATH            takes this binary in place of building one
//	TOLLGATE_E2E_NO_SDK=1               leaves out the tests that need the official SDKs
package e2e
