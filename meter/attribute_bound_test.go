package meter

import (
	"strings"
	"testing"
)

// What a client says of a call is kept in the journal: it is not as long as a body can be.
func TestAttributesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 10*maxAttribute)
	image := mustRead(t, FindEndpoint("/images/generations"), `{"model":"m","prompt":"a cat","size":"`+long+`"}`)
	chat := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","tools":[{"web_search":{"search_engine":"`+long+`"}}]}`)
	search := mustRead(t, FindEndpoint("/web_search"), `{"search_query":"a cat","search_engine":"`+long[:maxModelBytes]+`"}`)
	video := mustRead(t, FindEndpoint("/videos/generations"), `{"model":"m","prompt":"a cat","size":"`+long+`"}`)
	for of, got := range map[string]string{
		"size": image.Attributes["size"], "engine": chat.Tools[0].Attributes["engine"], "a search's": search.Attributes["engine"], "a video's": video.Attributes["size"],
	} {
		if got != long[:maxAttribute] {
			t.Errorf("%s: %d bytes are kept", of, len(got))
		}
	}
}
