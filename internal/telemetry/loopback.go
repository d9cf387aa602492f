package telemetry

import (
	"net/http"
	"net/netip"
)

// loopbackOnly answers 404 to clients of other machines, like a path that is not there. It looks at the connection alone:
// a forwarding header is the sender's own claim.
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !addr.Addr().Unmap().IsLoopback() || forwarded(r) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// forwarded reports whether a proxy on this machine passes the request on for somebody else.
func forwarded(r *http.Request) bool {
	for _, h := range [...]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return true
		}
	}
	return false
}
