package meter

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
)

// A transcription is billed by how long the recording plays if its upstream does not say.
// It is counted where samples can be counted: WAV, unless it is packed, and MP3. Other
// formats state it in their headers, which whoever made the file could have forged.

// A soundReader returns how many samples a recording of its format has, and how many
// of them a second; 0 of any other.
type soundReader func([]byte) (samples, rate uint64)

const (
	// mostPerMS and leastPerMS are how many bytes a millisecond of packed sound has at
	// most (512 kbit/s) and at least (8 kbit/s); mostLosslessPerMS is at most for one of
	// which nothing was lost: 96 kHz of 24 bits, on two channels.
	mostPerMS, mostLosslessPerMS, leastPerMS = 64, 576, 1
	// usualPerMS is for a recording of which nothing is known: 48 kbit/s.
	usualPerMS = 6
)

// soundLength is how long a recording plays, in ms, rounded up, as far as is known.
// most is what it cannot exceed, exact whether ms was read from it.
func soundLength(sound []byte) (ms, most int64, exact bool) {
	size := int64(len(sound))
	if ms, ok := readLength(sound, wavLength, mp3Length); ok {
		return ms, ms, true
	}
	most = size / leastPerMS
	for _, told := range [...]struct {
		read        soundReader
		size, perMS int64
	}{
		{packedWAVLength, size, mostPerMS},
		{flacLength, size, mostLosslessPerMS},
		{oggLength, size, mostPerMS},
		{mp4Length, mp4SoundSize(sound), mostPerMS}, // there may be pictures beside it
	} {
		if ms, ok := readLength(sound, told.read); ok {
			ms = max(ms, told.size/told.perMS)
			return ms, max(ms, most), true
		}
	}
	return size/usualPerMS + 1, most + 1, false
}

func readLength(sound []byte, readers ...soundReader) (ms int64, ok bool) {
	for _, read := range readers {
		if samples, rate := read(sound); samples > 0 && rate > 0 {
			return lengthOf(samples, rate)
		}
	}
	return 0, false
}

// lengthOf is how long so many samples last. More than a year is a fault.
func lengthOf(samples, rate uint64) (ms int64, ok bool) {
	const year = 366 * 24 * 3600 * 1000
	high, low := bits.Mul64(samples, 1000)
	if high >= rate {
		return 0, false
	}
	n, rest := bits.Div64(high, low, rate)
	if rest > 0 {
		n++
	}
	return int64(n), n <= year
}

// wavLength goes by what the data chunks have, of samples whose size is known.
func wavLength(b []byte) (samples, rate uint64) {
	size, format := wavSound(b)
	return size, wavRate(format)
}

// packedWAVLength goes by the rate that the header tells.
func packedWAVLength(b []byte) (samples, rate uint64) {
	size, format := wavSound(b)
	if len(format) == 0 {
		return 0, 0
	}
	return size, uint64(binary.LittleEndian.Uint32(format[8:]))
}

// wavSound is the size of all data chunks, which players play one after the other, and
// the format; or the rest of a file whose header was written before its size was known.
// Of two formats, players take one or the other: there is none.
func wavSound(b []byte) (data uint64, format []byte) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return 0, nil
	}
	for b = b[12:]; len(b) >= 8; {
		name, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		body := b[8:]
		size = min(size, uint64(len(body)))
		switch {
		case name == "fmt " && (format != nil || size < 16):
			return 0, nil
		case name == "fmt ":
			format = body[:size]
		case name == "data" && size == 0: // it goes to the end
			return data + uint64(len(body)), format
		case name == "data":
			data += size
		}
		b = body[min(size+size%2, uint64(len(body))):]
	}
	return data, format
}

// wavRate is how many bytes a second has; 0 of samples that are packed in a way of which
// the header alone tells it. What it tells of the others, players do not heed.
func wavRate(format []byte) uint64 {
	if len(format) == 0 {
		return 0
	}
	field := func(at int) uint64 { return uint64(binary.LittleEndian.Uint16(format[at:])) }
	kind, channels, rate := field(0), field(2), uint64(binary.LittleEndian.Uint32(format[4:]))
	if kind == 0xfffe && len(format) >= 26 { // an extension tells
		kind = field(24)
	}
	switch kind {
	case 1, 3: // PCM, float
		return channels * rate * (field(14) / 8)
	case 6, 7: // A-law, µ-law
		return channels * rate
	case 2: // ADPCM, in blocks that begin with two samples
		return adpcmRate(rate, channels, field(12), 7, 2)
	case 0x11:
		return adpcmRate(rate, channels, field(12), 4, 1)
	}
	return 0
}

// adpcmRate is that of blocks in which, of each channel, so many samples come in a head of so many
// bytes, and the others have four bits each.
func adpcmRate(rate, channels, block, head, samples uint64) uint64 {
	if channels == 0 || block <= head*channels {
		return 0
	}
	return rate * block / ((block-head*channels)*2/channels + samples)
}

// flacLength goes by the stream info, which comes first.
func flacLength(b []byte) (samples, rate uint64) {
	if len(b) < 26 || string(b[:4]) != "fLaC" {
		return 0, 0
	}
	info := binary.BigEndian.Uint64(b[18:]) // rate: 20 bits, channels: 3, size: 5, samples: 36
	return info & (1<<36 - 1), info >> 44
}

// oggLength goes by the position that the last page tells: of Opus at 48 kHz, of
// Vorbis at the rate of its first page.
func oggLength(b []byte) (samples, rate uint64) {
	if len(b) < 48 || string(b[:4]) != "OggS" {
		return 0, 0
	}
	switch first := b[28:]; {
	case bytes.HasPrefix(first, []byte("OpusHead")):
		rate = 48_000
	case bytes.HasPrefix(first, []byte("\x01vorbis")):
		rate = uint64(binary.LittleEndian.Uint32(first[12:]))
	}
	last := bytes.LastIndex(b, []byte("OggS"))
	if len(b)-last < 14 {
		return 0, 0
	}
	samples = binary.LittleEndian.Uint64(b[last+6:])
	if samples > 1<<62 { // a page on which nothing ends
		return 0, 0
	}
	return samples, rate
}

// mp4Length goes by the head of the movie, wherever in the file that stands.
func mp4Length(b []byte) (samples, rate uint64) {
	if len(b) < 8 || string(b[4:8]) != "ftyp" {
		return 0, 0
	}
	head := mp4Box(mp4Box(b, "moov"), "mvhd")
	switch {
	case len(head) >= 20 && head[0] == 0:
		return uint64(binary.BigEndian.Uint32(head[16:])), uint64(binary.BigEndian.Uint32(head[12:]))
	case len(head) >= 32 && head[0] == 1:
		return binary.BigEndian.Uint64(head[24:]), uint64(binary.BigEndian.Uint32(head[20:]))
	}
	return 0, 0
}

// mp4SoundSize is how many bytes the tracks of sound have; of a file that does not tell, all.
func mp4SoundSize(b []byte) int64 {
	whole, size := uint64(len(b)), uint64(0)
	for name, track := range mp4Boxes(mp4Box(b, "moov")) {
		media := mp4Box(track, "mdia")
		if head := mp4Box(media, "hdlr"); name != "trak" || len(head) < 12 || string(head[8:12]) != "soun" {
			continue
		}
		sizes := mp4Box(mp4Box(mp4Box(media, "minf"), "stbl"), "stsz")
		if len(sizes) < 12 {
			return int64(whole)
		}
		each, count := uint64(binary.BigEndian.Uint32(sizes[4:])), uint64(binary.BigEndian.Uint32(sizes[8:]))
		size += min(each*count, whole)
		for one := sizes[12:]; each == 0 && len(one) >= 4; one = one[4:] {
			size += uint64(binary.BigEndian.Uint32(one))
		}
	}
	if size == 0 || size > whole {
		size = whole
	}
	return int64(size)
}

// mp4Box is the inside of the first box of that name, nil if there is none.
func mp4Box(b []byte, name string) []byte {
	for found, inside := range mp4Boxes(b) {
		if found == name {
			return inside
		}
	}
	return nil
}

// mp4Boxes are the names and the insides of the boxes, up to one that is none.
func mp4Boxes(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for len(b) >= 8 {
			size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
			switch {
			case size == 0: // it goes to the end
				size = uint64(len(b))
			case size == 1 && len(b) >= 16:
				size, head = binary.BigEndian.Uint64(b[8:]), 16
			}
			if size < head || size > uint64(len(b)) || !yield(string(b[4:8]), b[head:size]) {
				return
			}
			b = b[size:]
		}
	}
}

// mp3Length counts the frames, as a player does. Two that follow each other make an MP3.
func mp3Length(b []byte) (samples, rate uint64) {
	for len(b) > 10 && string(b[:3]) == "ID3" {
		size := int(b[6])<<21 | int(b[7])<<14 | int(b[8])<<7 | int(b[9])
		b = b[min(10+size, len(b)):]
	}
	frames := 0
	for len(b) >= 4 {
		f, ok := mp3FrameOf(b)
		if !ok {
			if frames < 2 {
				return 0, 0
			}
			next := bytes.IndexByte(b[1:], 0xff) // a tag at the end, or what has been cut
			if next < 0 {
				break
			}
			b = b[1+next:]
			continue
		}
		frames++
		samples, rate = samples+f.samples, f.rate
		b = b[min(f.size, len(b)):]
	}
	if frames < 2 {
		return 0, 0
	}
	return samples, rate
}

type mp3Frame struct {
	size          int
	samples, rate uint64
}

// mp3Rates are those of MPEG 1; MPEG 2 has half of them, MPEG 2.5 a quarter.
var mp3Rates = [4]int{44_100, 48_000, 32_000, 0}

// mp3Bits are the rates of layer III in kbit/s, of MPEG 1 and of the later ones.
var mp3Bits = [2][16]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
}

// mp3FrameOf reads a frame's head: four bytes.
func mp3FrameOf(b []byte) (f mp3Frame, ok bool) {
	const layerIII = 1
	version := b[1] >> 3 & 3 // 3: MPEG 1, 2: 2, 0: 2.5
	if b[0] != 0xff || b[1]>>5 != 7 || version == 1 || b[1]>>1&3 != layerIII {
		return f, false
	}
	rate, later, samples := mp3Rates[b[2]>>2&3], 0, 1152
	if version != 3 {
		rate, later, samples = rate/2, 1, 576
		if version == 0 {
			rate /= 2
		}
	}
	kbits := mp3Bits[later][b[2]>>4]
	if rate == 0 || kbits == 0 {
		return f, false
	}
	f.size = samples/8*1000*kbits/rate + int(b[2]>>1&1)
	f.samples, f.rate = uint64(samples), uint64(rate)
	return f, true
}
