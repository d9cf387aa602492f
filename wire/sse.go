package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Event is one server-sent event (WHATWG HTML, section 9.2).
type Event struct {
	ID   string // "" when the event has none
	Name string // event: field, "" means "message"
	Data []byte // valid until the next call of Next
}

// EventLimits bounds a stream of events from a peer that is not trusted.
type EventLimits struct {
	Event    int // bytes of one event's data, and of one line
	Stream   int // bytes of the whole stream; 0 means no bound
	Comments int // comment lines a second
}

// DefaultEventLimits is what an upstream may send (docs/reference/limits.md).
var DefaultEventLimits = EventLimits{Event: 10 << 20, Stream: 32 << 20, Comments: 10}

// EventReader reads server-sent events within bounds. It is not safe for concurrent use.
type EventReader struct {
	r        *bufio.Reader
	l        EventLimits
	data     []byte
	line     []byte
	rest     []byte // of line, behind a CR; nil when there is none
	read     int
	first    bool
	LastID   string        // the last id: field seen; for Last-Event-ID
	Retry    time.Duration // the last retry: field seen; 0 when none
	comments int
	idle     int // lines that bring nothing
	window   time.Time
	now      func() time.Time
}

// NewEventReader reads events from r.
func NewEventReader(r io.Reader, l EventLimits) *EventReader {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 4096)
	}
	return &EventReader{r: br, l: l, first: true, now: time.Now}
}

// Next returns the next event that has data, or an id with empty data. It returns io.EOF at the end of the stream; an
// event that was not ended by an empty line is dropped, as the standard wants. Faults are *Error.
func (r *EventReader) Next() (Event, error) {
	var ev Event
	var hasData, hasID bool
	r.data = r.data[:0]
	for {
		line, err := r.readLine()
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if hasData || hasID {
				ev.Data = r.data
				return ev, nil
			}
			ev = Event{}
			if err := r.flood(&r.idle, maxIdle, "lines that bring nothing"); err != nil {
				return Event{}, err
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "":
			if err := r.flood(&r.comments, r.l.Comments, "comment lines"); err != nil {
				return Event{}, err
			}
		case "data":
			if hasData {
				r.data = append(r.data, '\n')
			}
			hasData = true
			r.data = append(r.data, value...)
			if r.l.Event > 0 && len(r.data) > r.l.Event {
				return Event{}, &Error{"wire.too_large", r.read, fmt.Sprintf("server-sent event over %d bytes", r.l.Event), true}
			}
		case "event":
			ev.Name = string(value)
		case "id":
			if len(value) <= 1024 && !bytes.ContainsRune(value, 0) {
				ev.ID, r.LastID, hasID = string(value), string(value), true
			}
		case "retry":
			if n, ok := digits(value); ok {
				r.Retry = time.Duration(n) * time.Millisecond
			}
			if err := r.flood(&r.idle, maxIdle, "lines that bring nothing"); err != nil {
				return Event{}, err
			}
		default:
			if err := r.flood(&r.idle, maxIdle, "lines that bring nothing"); err != nil {
				return Event{}, err
			}
		}
	}
}

// maxIdle bounds the lines a second that bring nothing: empty ones, unknown fields.
const maxIdle = 1000

// flood counts a line, and refuses more than most a second when comments are bounded at all.
func (r *EventReader) flood(n *int, most int, what string) error {
	if r.l.Comments == 0 {
		return nil
	}
	if t := r.now(); t.Sub(r.window) >= time.Second {
		r.window, r.comments, r.idle = t, 0, 0
	}
	if *n++; *n > most {
		return &Error{"wire.flood", r.read, fmt.Sprintf("more than %d %s a second", most, what), true}
	}
	return nil
}

// readLine returns a line without its end: LF, CRLF, or a CR that stands alone.
func (r *EventReader) readLine() ([]byte, error) {
	if r.rest != nil {
		return r.cut(r.rest), nil
	}
	r.line = r.line[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		r.read += len(part)
		if r.l.Stream > 0 && r.read > r.l.Stream {
			return nil, &Error{"wire.too_large", r.read, fmt.Sprintf("stream over %d bytes", r.l.Stream), true}
		}
		r.line = append(r.line, part...)
		if r.l.Event > 0 && len(r.line) > r.l.Event+64 {
			return nil, &Error{"wire.too_large", r.read, fmt.Sprintf("line over %d bytes", r.l.Event), true}
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	line := bytes.TrimSuffix(r.line[:len(r.line)-1], []byte("\r"))
	if r.first {
		r.first = false
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if !utf8.Valid(line) {
		return nil, &Error{"wire.encoding", r.read, "server-sent event is not valid UTF-8", true}
	}
	return r.cut(line), nil
}

// cut returns the line before the first CR and keeps the rest.
func (r *EventReader) cut(line []byte) []byte {
	i := bytes.IndexByte(line, '\r')
	if i < 0 {
		r.rest = nil
		return line
	}
	r.rest = line[i+1:]
	return line[:i]
}

func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 1e8 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}

// AppendEvent writes an event. data must not hold a line break (verified compact JSON may; it is then split); id and
// name are left out when empty.
func AppendEvent(dst []byte, id, name string, data []byte) []byte {
	if id != "" {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	for {
		i := bytes.IndexAny(data, "\r\n")
		part := data
		if i >= 0 {
			part = data[:i]
		}
		dst = append(append(append(dst, "data: "...), part...), '\n')
		if i < 0 {
			return append(dst, '\n')
		}
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
		}
		data = data[i+1:]
	}
}
