package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"listen", "data", "tls", "servers", "allowAnonymousOnNetwork", strings.Repeat("x", 70)}
	for word, want := range map[string]string{
		"lisen": "listen", "Listen": "listen", "lsiten": "listen", "listten": "listen", "lizten": "listen", "litsne": "listen",
		"tsl": "tls", "tl": "tls", "t": "", "abc": "", "": "", "port": "", "serves": "servers",
		"allowAnonymousOnNetwrk": "allowAnonymousOnNetwork", strings.Repeat("x", 70): "", strings.Repeat("y", 1<<20): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%.30q) = %q, want %q", word, got, want)
		}
	}
}
