package proxy

import (
	"net/http"
	"slices"
)

// crossOrigin sets the CORS headers for a page whose origin the policy allows, and reports
// whether the request is such a page's preflight. Any other preflight gets the answer to
// an OPTIONS, 405, which browsers take as a refusal.
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
	// Cookies, the browser's credentials, are never allowed, so "*" is safe: a page's
	// script needs a key of its own.
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "*")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Vary", "Origin, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers")) // "*" would not let Authorization in
	h.Set("Access-Control-Max-Age", "7200")
	return true
}
