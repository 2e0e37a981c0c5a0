package e2e

import "testing"

// The official Python SDK, unchanged, pointed at the proxy.
func TestPythonSDK(t *testing.T) {
	testSDK(t, sdk{
		command: []string{"sdk/python/.venv/bin/python", "sdk/python/sdk.py"},
		needs:   "sdk/python/.venv/installed.txt",
		errors:  map[string]string{"quota": "RateLimitError", "bad_key": "AuthenticationError", "timeout": "APITimeoutError"},
	})
}
