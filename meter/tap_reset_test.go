package meter

import (
	"reflect"
	"slices"
	"testing"
)

// A tap whose memory has been another answer's behaves as a new one, whatever
// that other was and how far it had come; and what the other said stays.
func TestATapThatIsResetForgets(t *testing.T) {
	files := append(fixtures(t, "answers"), fixtures(t, "streams")...)
	for _, before := range files {
		for _, file := range files {
			want, _ := throughTap(t, new(Tap), file, 1)
			used := new(Tap)
			said, end := throughTap(t, used, before, 2)
			kept := slices.Clone(end)
			if got, _ := throughTap(t, used, file, 1); !reflect.DeepEqual(got, want) {
				t.Errorf("%s after %s:\n%+v\nwant\n%+v", file, before, got, want)
			}
			if again, _ := throughTap(t, new(Tap), before, 2); !reflect.DeepEqual(said, again) || !slices.Equal(end, kept) {
				t.Errorf("what %s had said changed with %s", before, file)
			}
		}
	}
}

// throughTap passes one part in so many of a fixture through a tap in that memory.
func throughTap(t *testing.T, memory *Tap, file string, part int) (o outcome, end []byte) {
	t.Helper()
	memory.Reset(fixtureRequest(t, file), contentTypeOf(file))
	in := readFile(t, file)
	in = in[:len(in)/part]
	return outcomeOf(memory, in, memory.Pass(nil, in))
}
