package meter

import (
	"bytes"
	"path/filepath"
	"testing"
)

// Real files, of half a second or a second and a half: an encoder may add a frame or two.
func TestSoundLength(t *testing.T) {
	for file, want := range map[string][2]int64{
		"wav-pcm.wav": {500, 500}, "wav-adpcm.wav": {500, 510}, "flac.flac": {500, 500},
		"mp3-mpeg1.mp3": {1500, 1580}, "mp3-mpeg2.mp3": {1500, 1600}, "mp3-mpeg25.mp3": {1500, 1800},
		"ogg-opus.ogg": {1500, 1510}, "ogg-vorbis.ogg": {1500, 1500}, "mp4-aac.m4a": {1500, 1600},
	} {
		if ms, most, ok := soundLength(readFile(t, "testdata/sounds/"+file)); !ok || ms < want[0] || ms > want[1] || most < ms {
			t.Errorf("%s: %d ms, at most %d, %t; want %d to %d", file, ms, most, ok, want[0], want[1])
		}
	}
}

// What a file says of itself does not shorten it where the samples are there to be counted, and beyond a bound nowhere.
func TestSoundThatLies(t *testing.T) {
	wav, movie := readFile(t, "testdata/sounds/wav-pcm.wav"), readFile(t, "testdata/sounds/mp4-aac.m4a")
	mp3, browser := readFile(t, "testdata/sounds/mp3-mpeg1.mp3"), readFile(t, "testdata/sounds/webm-opus.webm")
	data, head := bytes.Index(wav, []byte("data"))+4, bytes.Index(movie, []byte("mvhd"))+4
	counted, _, _ := soundLength(mp3)
	for name, c := range map[string]struct {
		sound    []byte
		ms, most int64
		exact    bool
	}{
		"data longer than the file":      {with(wav, data, 0xff, 0xff, 0xff, 0xff), 500, 500, true},
		"data of which nothing was said": {with(wav, data, 0, 0, 0, 0), 500, 500, true},
		"a rate of bytes that is none":   {with(wav, 28, 0xff, 0xff, 0xff, 0xff), 500, 500, true},
		"an MP3 with another tag":        {tagged(mp3), counted, counted, true},
		"a movie of a millisecond":       {with(movie, head+16, 0, 0, 0, 1), int64(len(movie)) / mostPerMS, int64(len(movie)), true},
		"a movie of more than a year":    {with(movie, head+12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff), int64(len(movie))/usualPerMS + 1, int64(len(movie)) + 1, false},
		"no samples a second":            {with(wav, 24, 0, 0, 0, 0), int64(len(wav))/usualPerMS + 1, int64(len(wav)) + 1, false},
		"no format":                      {with(wav, 12, 'x'), int64(len(wav))/usualPerMS + 1, int64(len(wav)) + 1, false},
		"a recording of a browser's":     {browser, int64(len(browser))/usualPerMS + 1, int64(len(browser)) + 1, false},
		"one frame of an MP3":            {[]byte{0xff, 0xfb, 0x10, 0xc4, 0}, 1, 6, false},
		"nothing":                        {nil, 1, 1, false},
	} {
		if ms, most, exact := soundLength(c.sound); ms != c.ms || most != c.most || exact != c.exact {
			t.Errorf("%s: %d ms, at most %d, %t; want %d, %d, %t", name, ms, most, exact, c.ms, c.most, c.exact)
		}
	}
}

func with(sound []byte, at int, b ...byte) []byte {
	changed := bytes.Clone(sound)
	copy(changed[at:], b)
	return changed
}

func tagged(mp3 []byte) []byte {
	before := append([]byte("ID3\x03\x00\x00\x00\x00\x00\x0a"), make([]byte, 10)...)
	return append(append(before, mp3...), append([]byte("TAG"), make([]byte, 125)...)...)
}

// Nothing that is sent as a recording can do more than be none.
func FuzzSoundLength(f *testing.F) {
	files, err := filepath.Glob("testdata/sounds/*")
	if err != nil || len(files) == 0 {
		f.Fatal(err, files)
	}
	for _, file := range files {
		f.Add(readFile(f, file))
	}
	f.Fuzz(func(t *testing.T, sound []byte) {
		if ms, most, _ := soundLength(sound); ms <= 0 || most < ms {
			t.Errorf("%d ms, at most %d", ms, most)
		}
	})
}
