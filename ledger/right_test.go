package ledger

import (
	"errors"
	"fmt"
	"testing"
)

// serverError is an answer of a server, as the client has it.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

// What servers say to a write that they refuse, of each kind that was tried.
func TestWhatIsARefusedWrite(t *testing.T) {
	for text, want := range map[string]bool{
		// Redis 7.0
		"ERR The user executing the script can't run this command or subcommand script: w, on @user_function:2.": true,
		"NOPERM this user has no permissions to run the 'fcall' command":                                         true,
		// Redis 8.0, Valkey 8.1
		"ERR ACL failure in script: User default has no permissions to run the 'hset' command script: w, on @user_function:2.": true,
		"NOPERM User default has no permissions to run the 'fcall' command":                                                    true,
		// all of them
		"OOM command not allowed when used memory > 'maxmemory'.": true,
		"NOREPLICAS Not enough good replicas to write.":           true,
		"READONLY You can't write against a read only replica.":   false, // it may be so for a moment: the server is away
		"ERR Function not found":                                  false,
	} {
		if got := refusesWrites(fmt.Errorf("script: %w", serverError(text))); got != want {
			t.Errorf("%s: a refused write is %v, want %v", text, got, want)
		}
	}
	if refusesWrites(errors.New("OOM")) {
		t.Error("what no server said is taken for its word")
	}
}
