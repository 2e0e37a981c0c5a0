package meter

import "strings"

// modelPlace stands in the Path of a row whose model is there, and not in the body.
const modelPlace = "{model}"

// NamesModel reports whether the row has its model in its path.
func (e *Endpoint) NamesModel() bool { return strings.Contains(e.Path, modelPlace) }

// Matches reports whether a path after the client's prefix is the row's, and the
// model that it names, if the row has it there. path has no escapes any more.
func (e *Endpoint) Matches(path string) (model string, ok bool) {
	before, after, named := strings.Cut(e.Path, modelPlace)
	if !named {
		return "", path == e.Path
	}
	if len(path) < len(before)+len(after) || !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) {
		return "", false
	}
	model = path[len(before) : len(path)-len(after)]
	return model, isPathModel(model)
}

// PathFor is the row's path for a model, without escapes.
func (e *Endpoint) PathFor(model string) string { return strings.Replace(e.Path, modelPlace, model, 1) }

// isPathModel tells a name that is one and the same for all who read a path: it has no
// sign that parts a path, such as the colon before a method, or that some unescape twice.
func isPathModel(name string) bool {
	for _, b := range []byte(name) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("-._~@+", b) >= 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxModelBytes
}
