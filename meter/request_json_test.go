package meter

import (
	"bytes"
	"testing"
)

// A prompt is looked at by many bytes at once. What ends its plain part must be
// found at every place, among all that could be taken for it.
func TestPlainLength(t *testing.T) {
	const longest = 72 // two rounds of 32, one of 8
	for _, fill := range []byte{' ', '!', '#', '[', ']', 'a', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
		for n := range longest {
			p := bytes.Repeat([]byte{fill}, n)
			if got := plainLength(p); got != n {
				t.Fatalf("%d times %#02x: %d are plain", n, fill, got)
			}
			for at := range n {
				for b := range 256 {
					p[at] = byte(b)
					want := n
					if b == '"' || b == '\\' || b < 0x20 {
						want = at
					}
					if got := plainLength(p); got != want {
						t.Fatalf("%d times %#02x, and %#02x at %d: %d are plain, want %d", n, fill, b, at, got, want)
					}
				}
				p[at] = fill
			}
		}
	}
}
