package egress

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
)

const (
	maxChunkLine  = 256     // size and extension of one chunk
	maxExtensions = 4 << 10 // bytes of extensions of one body
	maxTrailer    = 4 << 10 // bytes
	maxDrain      = 4 << 10 // buffered bytes that Close throws away to save the connection
)

// States of a body. A Read owns the connection while it runs; otherwise whoever leaves bodyIdle does.
const (
	bodyIdle int32 = iota
	bodyReading
	bodyDone   // at its end
	bodyFailed // an earlier Read failed
	bodyClosed
)

// body reads the body of one answer. Close may be called while Read waits, and ends it.
type body struct {
	client *Client
	conn   *conn
	ctx    context.Context // of Do, whose call this is the rest of
	stop   func() bool     // of the cancellation, nil when ctx cannot end
	frame  frame
	left   int64 // of the body, or of the chunk
	ext    int   // bytes of chunk extensions so far
	begun  bool  // a chunk has been read, so its CRLF is next
	last   bool  // the last chunk has been read
	state  atomic.Int32
	err    error // of the Read that failed; owned by Read
}

var errBodyClosed = errors.New("read of a closed body")

func (b *body) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(bodyIdle, bodyReading) {
		switch b.state.Load() {
		case bodyDone:
			return 0, io.EOF
		case bodyFailed:
			return 0, b.err
		case bodyReading:
			return 0, errors.New("two reads of one body at once")
		}
		return 0, errBodyClosed
	}
	if len(p) == 0 {
		if !b.state.CompareAndSwap(bodyReading, bodyIdle) {
			b.discard()
			return 0, errBodyClosed
		}
		return 0, nil
	}
	n, err := b.next(p)
	switch {
	case err == nil:
		if !b.state.CompareAndSwap(bodyReading, bodyIdle) {
			b.discard()
			return n, errBodyClosed
		}
	case err == io.EOF:
		if b.state.CompareAndSwap(bodyReading, bodyDone) {
			b.release()
		} else {
			b.discard()
		}
	default:
		b.err = b.explain(err)
		err = b.err
		if !b.state.CompareAndSwap(bodyReading, bodyFailed) {
			err = errBodyClosed
		}
		b.discard()
	}
	return n, err
}

// next reads bytes of the body; with its last bytes, or after them, it returns io.EOF.
func (b *body) next(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	switch b.frame.kind {
	case bodyToEnd:
		return b.conn.read(p)
	case bodyChunked:
		if b.left == 0 {
			if err := b.chunk(); err != nil {
				return 0, err
			}
			if b.last {
				return 0, io.EOF
			}
		}
	}
	n, err := b.conn.read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	case err != nil:
		return n, err
	case b.left == 0 && b.frame.kind == bodySized:
		return n, io.EOF
	case b.left == 0 && b.ended():
		return n, io.EOF
	}
	return n, nil
}

// ended reports whether the end of a chunked body has come already, so that it need not be asked for.
func (b *body) ended() bool {
	const end = "\r\n0\r\n\r\n"
	c := b.conn
	if c.w-c.r < len(end) || string(c.buf[c.r:c.r+len(end)]) != end {
		return false
	}
	c.r += len(end)
	b.last = true
	return true
}

// chunk reads up to the next chunk's data (RFC 9112 section 7.1).
func (b *body) chunk() error {
	if b.begun {
		crlf, err := b.conn.lines(true, 2)
		if err != nil {
			return framing(err)
		}
		if len(crlf) != 2 {
			return errChunk
		}
	}
	line, err := b.conn.lines(true, maxChunkLine)
	if err != nil {
		return framing(err)
	}
	line = line[:len(line)-2]
	var n int64
	digits := 0
	for ; digits < len(line); digits++ {
		d := unhex(line[digits])
		if d < 0 {
			break
		}
		if digits >= 15 {
			return errChunk
		}
		n = n<<4 | int64(d)
	}
	ext := line[digits:]
	if b.ext += len(ext); digits == 0 || len(ext) > 0 && ext[0] != ';' || b.ext > maxExtensions || !isText(string(ext)) {
		return errChunk
	}
	b.begun, b.left = true, n
	if n > 0 {
		return nil
	}
	trailer, err := b.conn.lines(false, maxTrailer)
	if err != nil {
		return framing(err)
	}
	var room [8]Field
	if _, err := parseFields(string(trailer), room[:0]); err != nil {
		return errChunk
	}
	b.last = true
	return nil
}

var errChunk = errors.New("a chunk of the body is malformed")

func framing(err error) error {
	switch err {
	case io.EOF:
		return io.ErrUnexpectedEOF
	case errLong, errBareLF:
		return errChunk
	}
	return err
}

func unhex(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

func (b *body) explain(err error) error {
	host := b.client.host
	if cerr := ended(b.ctx, "read the answer of", host); cerr != nil {
		return cerr
	}
	if err == errChunk {
		return fault(CodeFraming, host, "the body of the answer is malformed", err)
	}
	return fault(CodeTruncated, host, "the body of the answer ended early", err)
}

// Close gives the connection back when the rest of the body is already here and short, else closes it.
func (b *body) Close() error {
	switch b.state.Swap(bodyClosed) {
	case bodyReading:
		b.conn.close() // wakes the Read, which then finds out
	case bodyIdle:
		if b.drain() {
			b.release()
		} else {
			b.discard()
		}
	}
	return nil
}

// drain skips what is left of the body if all of it is in the buffer.
func (b *body) drain() bool {
	c := b.conn
	if b.left > int64(min(c.w-c.r, maxDrain)) || b.frame.kind == bodyToEnd {
		return false
	}
	c.r += int(b.left)
	b.left = 0
	return b.frame.kind == bodySized || b.begun && b.ended()
}

// release gives the connection back. The cancellation must not have started, and nothing may have come after the answer.
func (b *body) release() {
	if b.stop != nil && !b.stop() || !b.frame.keep || b.conn.r != b.conn.w {
		b.conn.close()
		return
	}
	b.client.pool.put(b.conn, b.frame.idle)
}

func (b *body) discard() {
	if b.stop != nil {
		b.stop()
	}
	b.conn.close()
}
