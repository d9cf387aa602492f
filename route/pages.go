package route

import "sync"

// pageBytes is where a page of a list ends before it has all its entries.
const pageBytes = 1 << 20

// Bounds of the rendered pages that a view keeps; past them it starts again.
const (
	maxPages     = 512
	maxPageBytes = 32 << 20
)

type pageKey struct {
	method, revision, class string
	from                    int
}

// pages is the rendered pages of a view.
type pages struct {
	mu    sync.Mutex // guards what follows
	m     map[pageKey][]byte
	bytes int
}

func (p *pages) get(k pageKey) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[k]
}

func (p *pages) put(k pageKey, page []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		p.m = map[pageKey][]byte{}
	}
	p.bytes -= len(p.m[k])
	if len(p.m) >= maxPages || p.bytes+len(page) > maxPageBytes {
		clear(p.m)
		p.bytes = 0
	}
	p.m[k] = page
	p.bytes += len(page)
}
