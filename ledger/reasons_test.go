package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// A disk that is full fails every shard: that is told once.
func TestShardsThatFailAlikeAreToldOnce(t *testing.T) {
	full := errors.New("disk full")
	for _, tt := range []struct {
		ofShards []error
		want     []string
	}{
		{[]error{nil, nil}, nil},
		{[]error{nil, full}, []string{"shard 1: disk full"}},
		{[]error{full, full}, []string{"disk full"}},
		{[]error{full, nil, full, errors.New("away"), full}, []string{"shard 3: away", "shard 0 and 2 more: disk full"}},
	} {
		var got []string
		for _, err := range reasons(tt.ofShards) {
			got = append(got, err.Error())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("of %v: %q, want %q", tt.ofShards, got, tt.want)
		}
	}
	if err := reasons([]error{nil, fmt.Errorf("%w: disk full", ErrUnavailable)})[0]; !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v is not known any more", err)
	}
}
