package admin

import (
	"embed"
	"io/fs"
	"net/http"
)

// consolePrefix is all that the console needs of the listener: its files, and
// the calls that it makes for key holders.
const consolePrefix = "/console"

// consoleFiles are the console as the browser gets it. Nothing builds them.
//
//go:embed console
var consoleFiles embed.FS

// consolePolicy lets the console's own files in and nothing else: whoever signs
// in types a secret. Pictures may also come from where an upstream keeps them.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// about is what the console has to know before anybody signs in, and also
// while Redis is away.
type about struct {
	Timezone string `json:"timezone"` // in which days and months are, here and in what it asks for
	Currency string `json:"currency"`
}

// console serves the console's files, what it has to know, and under /v1 the data
// plane: what is tried in the playground is a call like any other, and charged like it.
func console(a about, calls http.Handler) http.Handler {
	files, err := fs.Sub(consoleFiles, "console")
	if err != nil {
		panic(err) // the name of the folder above is wrong
	}
	mux := http.NewServeMux()
	mux.Handle(consolePrefix+"/", http.StripPrefix(consolePrefix, withPolicy(http.FileServerFS(files))))
	mux.HandleFunc("GET "+consolePrefix+"/about", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, a) })
	if calls != nil {
		mux.Handle(consolePrefix+"/v1/", withPolicy(http.StripPrefix(consolePrefix, calls)))
	}
	return mux
}

// withPolicy has the browser keep the page to itself, and ask for its files each time, as those of
// the next version have the same names. Calls have it too: another site's form that is sent to one must
// not make what the upstream answers a page of this site.
func withPolicy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", consolePolicy)
		h.Set("Cache-Control", "no-cache")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
