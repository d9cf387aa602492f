package egress

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

const (
	readSize  = 4 << 10  // of the read buffer, when nothing asks for more
	writeKept = 64 << 10 // capacity of the write buffer that an idle connection may hold
)

// conn is one connection to the origin. It belongs to one exchange at a time, or to the pool.
type conn struct {
	nc    net.Conn
	abort func() // closes nc; made once, so that an exchange need not

	buf  []byte // read: buf[r:w] has come and is not used yet
	r, w int
	out  []byte // write: reused from request to request

	raw    syscall.RawConn // nil when the state of nc cannot be seen
	probe  func(fd uintptr) bool
	quiet  bool // set by probe: open, and nothing has come
	used   bool // it has carried an exchange before
	expiry time.Time
}

func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc, buf: make([]byte, readSize)}
	c.abort = func() { _ = nc.Close() } // the reader or writer that this wakes reports the reason
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw, c.probe = raw, func(fd uintptr) bool {
				c.quiet = isQuiet(fd)
				return true
			}
		}
	}
	return c
}

// alive reports whether an idle connection is still open and silent. Bytes that nobody asked for spoil it.
func (c *conn) alive() bool {
	if c.raw == nil {
		return true
	}
	c.quiet = false
	err := c.raw.Read(c.probe)
	return err == nil && c.quiet
}

// fill reads more bytes behind those that are there. It never returns 0 bytes without an error.
func (c *conn) fill() (int, error) {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r > 0 {
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		} else {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
	}
	for range 16 {
		n, err := c.nc.Read(c.buf[c.w:])
		if n > 0 {
			c.w += n
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

var (
	errLong   = errors.New("more bytes than accepted")
	errBareLF = errors.New("a line ends in LF without CR")
)

// lines takes whole lines up to and with an empty one, or just one line, without using more than limit bytes.
// The bytes are good until the next fill.
func (c *conn) lines(one bool, limit int) ([]byte, error) {
	start, at := 0, 0 // of the line, and of what has been searched, from c.r
	for {
		have := c.buf[c.r:c.w]
		i := bytes.IndexByte(have[at:], '\n')
		if i < 0 {
			at = len(have)
			if at >= limit {
				return nil, errLong
			}
			if _, err := c.fill(); err != nil {
				return nil, err
			}
			continue
		}
		end := at + i + 1
		if end > limit {
			return nil, errLong
		}
		if end-start < 2 || have[end-2] != '\r' {
			return nil, errBareLF
		}
		if one || end-start == 2 {
			c.r += end
			return have[:end], nil
		}
		start, at = end, end
	}
}

// read gives buffered bytes first, then those of the network.
func (c *conn) read(p []byte) (int, error) {
	if c.r == c.w {
		if len(p) >= len(c.buf) {
			return c.nc.Read(p)
		}
		if _, err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n, nil
}

// write sends head and body. n is less than their length when the request cannot have arrived whole.
func (c *conn) write(body []byte) (n int, err error) {
	if len(body) <= writeKept {
		c.out = append(c.out, body...)
		return c.nc.Write(c.out)
	}
	bufs := net.Buffers{c.out, body}
	n64, err := bufs.WriteTo(c.nc)
	return int(n64), err
}

// rest makes the connection small enough to keep.
func (c *conn) rest() {
	c.used = true
	c.r, c.w = 0, 0
	if len(c.buf) > readSize {
		c.buf = make([]byte, readSize)
	}
	if cap(c.out) > 2*writeKept {
		c.out = nil
	}
}

func (c *conn) close() { _ = c.nc.Close() } // nothing was promised about bytes still under way
