package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func trivial(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestFire(t *testing.T) {
	addr := trivial(t, &upstream{list: []byte(`{"tools":[{"name":"echo"}]}`)})
	for _, era := range []string{"legacy", "modern"} {
		for _, method := range []string{"tools/call", "tools/list"} {
			s := shot{Addr: addr, Path: "/mcp", Era: era, Method: method, Workers: 4, Count: 40, PIDs: []int{os.Getpid()}}
			r, err := s.fire()
			if err != nil {
				t.Errorf("%s %s: %v", era, method, err)
				continue
			}
			if r.Calls != 40 || len(r.CPU) != 1 || r.P50 <= 0 || r.P99 < r.P50 {
				t.Errorf("%s %s: report %+v, want 40 calls with times", era, method, r)
			}
		}
	}
}

// TestFireHoldsAnswers: an answer to another call must not pass for the right one, or a fast wrong gateway would win.
func TestFireHoldsAnswers(t *testing.T) {
	addr := trivial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, []byte(`{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"0000000000"}]}}`))
	}))
	s := shot{Addr: addr, Path: "/mcp", Era: "modern", Method: "tools/call", Workers: 1, Count: 5, Window: time.Second}
	if _, err := s.fire(); err == nil || !strings.Contains(err.Error(), `has no "0000000001"`) {
		t.Errorf("error %v, want one that shows the wrong answer", err)
	}
}
