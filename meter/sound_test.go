package meter

import (
	"bytes"
	"encoding/binary"
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
	pictures := riffChunk("mdat", 1<<20)
	copy(pictures, "\x00\x10\x00\x08mdat")
	longMovie := append(append([]byte("\x00\x00\x00\x08ftyp\x00\x00\x08\x30moov\x00\x00\x00\x28mvhd\x01\x00\x00\x00"), make([]byte, 16)...),
		"\x00\x00\x03\xe8\x00\x00\x00\x00\x00\x00\x09\xc4"...) // 1000 a second, 2500 of them
	longMovie = append(longMovie, "\x00\x00\x08\x00free"...)
	longMovie = append(longMovie, make([]byte, 2040)...)
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
		"a movie of a millisecond":       {with(movie, head+16, 0, 0, 0, 1), mp4SoundSize(movie) / mostPerMS, int64(len(movie)), true},
		"a movie with pictures":          {append(bytes.Clone(movie), pictures...), 1500, int64(len(movie) + len(pictures)), true},
		"a movie of the longer head":     {longMovie, 2500, 2500, true},
		"a movie of more than a year":    {with(movie, head+12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff), int64(len(movie))/usualPerMS + 1, int64(len(movie)) + 1, false},
		"no samples a second":            {with(wav, 24, 0, 0, 0, 0, 0, 0, 0, 0), int64(len(wav))/usualPerMS + 1, int64(len(wav)) + 1, false},
		"two pieces of data":             {riff(riffFormat(1, 1, 8000, 0, 2, 16), riffChunk("data", 2), riffChunk("LIST", 3), riffChunk("data", 16000)), 1001, 1001, true},
		"two formats":                    {riff(riffFormat(1, 1, 8000, 0, 2, 16), riffFormat(1, 65535, 192_000, 0, 2, 32), riffChunk("data", 6000)), 1012, 6069, false},
		"packed, and fast as it says":    {riff(riffFormat(0x55, 1, 8000, 0xffffffff, 1, 0), riffChunk("data", 64_000)), 1000, 64_044, true},
		"packed, and told by extension":  {riff(riffFormat(0xfffe, 65535, 192_000, 8000, 1, 32, 22, 0, 32, 0, 0, 0, 0, 0, 0x55, 0), riffChunk("data", 64_000)), 8000, 64_054, true},
		"plain by extension":             {riff(riffFormat(0xfffe, 1, 8000, 0, 2, 16, 22, 0, 16, 0, 0, 0, 0, 0, 1, 0), riffChunk("data", 16_000)), 1000, 1000, true},
		"µ-law of 32 bits":               {riff(riffFormat(7, 1, 8000, 0, 1, 32), riffChunk("data", 8000)), 1000, 1000, true},
		"ADPCM of one sample a block":    {riff(riffFormat(0x11, 1, 8000, 0, 256, 4, 2, 0, 1, 0), riffChunk("data", 256*16)), 1011, 1011, true},
		"ADPCM of blocks that have none": {riff(riffFormat(2, 2, 8000, 0, 14, 4, 2, 0, 1, 0), riffChunk("data", 6000)), 1009, 6049, false},
		"a FLAC as of a CD":              {flac(44_100, 44_100*10, 1_200_000), 10_000, 1_200_000, true},
		"a FLAC of a millisecond":        {flac(44_100, 44, 1_200_000), 1_200_000 / mostLosslessPerMS, 1_200_000, true},
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

func riff(chunks ...[]byte) []byte {
	return append([]byte("RIFF\xff\xff\xff\xffWAVE"), bytes.Join(chunks, nil)...)
}

// riffChunk is one of so many bytes, and of another if that is odd.
func riffChunk(name string, size int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(name), uint32(size))
	return append(b, make([]byte, size+size%2)...)
}

func riffFormat(kind, channels uint16, rate, perSecond uint32, block, bits uint16, more ...byte) []byte {
	b := riffChunk("fmt ", 16+len(more))[:8]
	for _, part := range []any{kind, channels, rate, perSecond, block, bits, more} {
		b, _ = binary.Append(b, binary.LittleEndian, part)
	}
	return b
}

func flac(rate, samples uint64, size int) []byte {
	b := append(make([]byte, 0, size), "fLaC\x00\x00\x00\x22\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00"...)
	return binary.BigEndian.AppendUint64(b, rate<<44|1<<41|15<<36|samples)[:size]
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
