package config

import (
	"context"
	"os"
	"time"
)

// Watch signals once when one of the configuration's files has changed. It looks every so often, which works on every
// file system and through the links that Kubernetes swaps. It ends with ctx.
func Watch(ctx context.Context, c *Config, every time.Duration) <-chan struct{} {
	out := make(chan struct{}, 1)
	before := states(c.Files)
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if now := states(c.Files); now != before {
					out <- struct{}{}
					return
				}
			}
		}
	}()
	return out
}

// states is what can be seen of the files from outside.
func states(files []string) string {
	var b []byte
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			b = st.ModTime().AppendFormat(append(b, f...), time.RFC3339Nano)
			b = append(b, byte(st.Size()), byte(st.Size()>>8), byte(st.Size()>>16), '\n')
		}
	}
	return string(b)
}
