package mockai

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
)

// vectors holds one long vector in both encodings; an embedding is a window of it.
type vectors struct {
	text []byte // "0.01,-0.02,…"
	ends []int  // of each number in text
	raw  []byte // little-endian float32
}

// shifts is how many different embeddings there are.
const shifts = 16

func newVectors() (v vectors) {
	for i := range maxDims + shifts {
		value := float32((i*7919)%2000-1000) / 30000
		if i > 0 {
			v.text = append(v.text, ',')
		}
		v.text = strconv.AppendFloat(v.text, float64(value), 'g', -1, 32)
		v.ends = append(v.ends, len(v.text))
		v.raw = binary.LittleEndian.AppendUint32(v.raw, math.Float32bits(value))
	}
	return v
}

// append writes the embedding of input number i.
func (v *vectors) append(dst []byte, i, dims int64, encoded bool) []byte {
	shift := i % shifts
	if encoded {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.raw[4*shift:4*(shift+dims)])
		return append(dst, '"')
	}
	if dims == 0 {
		return append(dst, "[]"...)
	}
	start := 0
	if shift > 0 {
		start = v.ends[shift-1] + 1
	}
	dst = append(dst, '[')
	dst = append(dst, v.text[start:v.ends[shift+dims-1]]...)
	return append(dst, ']')
}

// embeddings answers embeddings.
func (a *answer) embeddings() {
	r := &a.request
	buffer := a.server.scratch()
	defer a.server.release(buffer)
	dst := append(buffer.AvailableBuffer(), `{"object":"list","data":[`...)
	for i := range r.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, i, 10)
		dst = append(dst, `,"embedding":`...)
		dst = a.server.vectors.append(dst, i, r.dims, r.base64)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"model":`...)
	dst = appendJSON(dst, r.model)
	if !r.used.absent {
		dst = append(dst, `,"usage":`...)
		dst = r.used.appendChat(dst, r.bigModel, true)
	}
	dst = append(dst, '}')
	a.json(dst)
	buffer.Write(dst)
}
