package e2e

import "testing"

// The official Node SDK, unchanged, pointed at the proxy.
func TestNodeSDK(t *testing.T) {
	testSDK(t, sdk{
		command: []string{"node", "sdk/node/sdk.mjs"},
		needs:   "sdk/node/node_modules/installed.json",
		errors:  map[string]string{"quota": "RateLimitError", "bad_key": "AuthenticationError", "timeout": "APIConnectionTimeoutError"},
	})
}
