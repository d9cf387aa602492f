package egress

import (
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
)

const (
	maxRatio  = 100       // decoded bytes for each encoded byte
	ratioFree = 128 << 10 // decoded bytes before the ratio counts
)

// decode replaces the body of res when it is compressed: one layer of gzip is decoded within bounds, everything else is refused.
// Nobody asked for compression, so it is rare and not on the hot path.
func (c *Client) decode(res *Response) error {
	enc, found := "", 0
	for i := range res.Header {
		if n := res.Header[i].Name; len(n) == len("Content-Encoding") && strings.EqualFold(n, "Content-Encoding") {
			enc = res.Header[i].Value
			found++
		}
	}
	switch {
	case found == 0 || found == 1 && (enc == "" || strings.EqualFold(enc, "identity")):
		return nil
	case found == 1 && (strings.EqualFold(enc, "gzip") || strings.EqualFold(enc, "x-gzip")):
	default:
		return fault(CodeEncoding, c.host, "the answer is compressed with something other than one layer of gzip", nil)
	}
	res.Header = slices.DeleteFunc(slices.Clone(res.Header), func(f Field) bool {
		return strings.EqualFold(f.Name, "Content-Encoding") || strings.EqualFold(f.Name, "Content-Length")
	})
	res.ContentLength = -1
	res.Body = &gzipBody{client: c, src: counter{r: res.Body}, close: res.Body.Close}
	return nil
}

// counter counts the encoded bytes.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

type gzipBody struct {
	client *Client
	src    counter
	zr     *gzip.Reader
	n      int64
	close  func() error
	err    error
}

func (g *gzipBody) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.zr == nil {
		if g.zr, g.err = gzip.NewReader(&g.src); g.err != nil {
			g.err = g.explain(g.err)
			return 0, g.err
		}
	}
	n, err := g.zr.Read(p)
	g.n += int64(n)
	switch {
	case g.n > g.client.opt.MaxDecodedBytes:
		n, g.err = 0, g.fail(errors.New("more bytes than accepted once decoded"))
	case g.n > ratioFree && g.n/maxRatio > g.src.n:
		n, g.err = 0, g.fail(errors.New("decodes to more than 100 times its length"))
	case err == io.EOF:
		g.err = io.EOF
	case err != nil:
		g.err = g.explain(err)
	}
	return n, g.err
}

// explain prefers what went wrong below to what gzip made of it.
func (g *gzipBody) explain(err error) error {
	if g.src.err != nil {
		return g.src.err
	}
	return g.fail(err)
}

func (g *gzipBody) fail(cause error) error {
	_ = g.close() // the fault is what counts
	return fault(CodeEncoding, g.client.host, "the compressed body is damaged or too large", cause)
}

func (g *gzipBody) Close() error { return g.close() }
