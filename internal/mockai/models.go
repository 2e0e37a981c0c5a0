package mockai

import (
	"net/http"
	"strings"
)

// modelNames are the models that the list names. Others are served as well.
var modelNames = [...]string{
	"gpt-4o", "gpt-4o-mini", "gpt-4.1", "text-embedding-3-small", "text-embedding-3-large", "dall-e-3", "gpt-image-1",
	"glm-4.6", "glm-4.5-air", "embedding-3", "cogview-4", "claude-sonnet-4-5", "gemini-2.5-flash",
}

// models answers GET models and models/{id}.
func (a *answer) models(name string) {
	if a.http.Method != http.MethodGet {
		a.refuse(errMethod(a.http.Method))
		return
	}
	if strings.HasPrefix(name, "no-such") {
		a.refuse(errNoModel(name))
		return
	}
	if name != "" {
		a.json(a.appendModel(nil, name))
		return
	}
	dst := []byte(`{"object":"list","data":[`)
	if a.request.gemini {
		dst = []byte(`{"models":[`)
	}
	for i, name := range modelNames {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.appendModel(dst, name)
	}
	a.json(append(dst, "]}"...))
}

func (a *answer) appendModel(dst []byte, name string) []byte {
	if a.request.gemini {
		dst = appendJSON(append(dst, `{"name":`...), "models/"+name)
		return append(dst, `,"supportedGenerationMethods":["generateContent","countTokens"]}`...)
	}
	dst = append(dst, `{"id":`...)
	dst = appendJSON(dst, name)
	return append(dst, `,"object":"model","created":1700000000,"owned_by":"mockai"}`...)
}
