package proxy

import (
	"net/http"
	"slices"
)

// crossOrigin tells a browser what the script of another site's page may do
// here, if the policy lets that site in. It reports whether the request is a
// preflight, which only asks for that; whoever is not let in gets the answer to
// an OPTIONS, which browsers take for a no.
func (p *Proxy) crossOrigin(h http.Header, r *http.Request) (preflight bool) {
	allowed := p.policy.CORSOrigins
	origin := r.Header.Get("Origin")
	if len(allowed) == 0 || origin == "" {
		return false
	}
	h.Set("Vary", "Origin")
	if !slices.Contains(allowed, origin) && !slices.Contains(allowed, "*") {
		return false
	}
	// Credentials in the browser's sense, cookies, are not let in, and so it may be any page's script that has a key.
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "*")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Vary", "Origin, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers")) // "*" would not let Authorization in
	h.Set("Access-Control-Max-Age", "7200")
	return true
}
