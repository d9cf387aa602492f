package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind tells the four sorts of JSON-RPC message apart.
type Kind uint8

// The kinds of message.
const (
	Request Kind = 1 + iota
	Notification
	Response // with a result
	Failure  // with an error
)

// Message is one JSON-RPC 2.0 message. All parts are bytes of the message that passed the strict parse.
type Message struct {
	Kind   Kind
	ID     []byte // string or integer as written; nil on a notification
	Method string
	Params []byte // object; nil when absent
	Result []byte
	Error  *RPC
}

// RPC is the error member of a Failure.
type RPC struct {
	Code    int64
	Message string
	Data    []byte // nil when absent
}

// Parse reads exactly one message. The error is an *Error; Message.ID is set as far as it was readable, so that an
// answer can carry it.
func Parse(b []byte, l Limits) (Message, error) {
	if err := Verify(b, l); err != nil {
		return Message{}, err
	}
	return envelope(b)
}

// ParseBatch reads one message or, under revision 2025-03-26, an array of 1 to 100. batch tells which it was; faults of
// single elements stand in errs at the element's place.
func ParseBatch(b []byte, l Limits) (msgs []Message, errs []error, batch bool, err error) {
	if err := Verify(b, l); err != nil {
		return nil, nil, false, err
	}
	el, ok := Elements(b)
	if !ok {
		m, err := envelope(b)
		return []Message{m}, []error{err}, false, nil
	}
	if len(el) == 0 || len(el) > 100 {
		return nil, nil, true, &Error{"wire.envelope", -1, fmt.Sprintf("a batch holds 1 to 100 messages, this one %d", len(el)), false}
	}
	for _, e := range el {
		m, err := envelope(e)
		msgs, errs = append(msgs, m), append(errs, err)
	}
	return msgs, errs, true, nil
}

func bad(code, format string, a ...any) *Error {
	return &Error{code, -1, fmt.Sprintf(format, a...), false}
}

func envelope(b []byte) (Message, error) {
	var buf [8]Member
	o, ok := AppendMembers(buf[:0], b)
	if !ok {
		return Message{}, bad("wire.envelope", "a message is a JSON object")
	}
	var m Message
	var version, method, errVal []byte
	var hasID bool
	for _, x := range o {
		switch x.Name {
		case "jsonrpc":
			version = x.Value
		case "id":
			hasID, m.ID = true, x.Value
		case "method":
			method = x.Value
		case "params":
			m.Params = x.Value
		case "result":
			m.Result = x.Value
		case "error":
			errVal = x.Value
		default:
			if known := foldKnown(x.Name, "jsonrpc", "id", "method", "params", "result", "error"); known != "" {
				return Message{}, bad("wire.envelope", "member %q differs from %q in case only", x.Name, known)
			}
		}
	}
	if hasID {
		if err := CheckID(m.ID); err != nil {
			// A failure to an unreadable request has a null id; no other message may.
			if !(string(m.ID) == "null" && errVal != nil && method == nil) {
				m.ID = nil
				return m, err
			}
		}
	}
	if string(version) != `"2.0"` {
		return m, bad("wire.envelope", `member "jsonrpc" must be "2.0"`)
	}
	if method != nil {
		if m.Result != nil || errVal != nil {
			return m, bad("wire.envelope", `"method" together with "result" or "error"`)
		}
		if m.Method, ok = Text(method); !ok || m.Method == "" || len(m.Method) > 256 {
			return m, bad("wire.envelope", `"method" must be a string of 1 to 256 bytes`)
		}
		if m.Params != nil && !IsObject(m.Params) {
			return m, bad("wire.envelope", `"params" must be an object`)
		}
		m.Kind = Notification
		if hasID {
			m.Kind = Request
		}
		return m, nil
	}
	if !hasID {
		return m, bad("wire.envelope", `neither "method" nor "id"`)
	}
	switch {
	case m.Result != nil && errVal != nil:
		return m, bad("wire.envelope", `"result" together with "error"`)
	case m.Result != nil:
		m.Kind = Response
	case errVal != nil:
		m.Kind = Failure
		e, ok := ParseObject(errVal)
		if !ok {
			return m, bad("wire.envelope", `"error" must be an object`)
		}
		code, err := strconv.ParseInt(string(e.Get("code")), 10, 64)
		if err != nil {
			return m, bad("wire.envelope", `"error.code" must be an integer`)
		}
		msg, _ := Text(e.Get("message"))
		m.Error = &RPC{Code: code, Message: msg, Data: e.Get("data")}
	default:
		return m, bad("wire.envelope", `neither "method", "result" nor "error"`)
	}
	return m, nil
}

// foldKnown returns the known name that name equals but for case, or "".
func foldKnown(name string, known ...string) string {
	for _, k := range known {
		if name == "" || name[0] < utf8.RuneSelf && name[0]|0x20 != k[0]|0x20 {
			continue // most names differ here; ASCII letters fold by this bit
		}
		if name != k && strings.EqualFold(name, k) {
			return k
		}
	}
	return ""
}

// KnownMembers refuses a member of o that equals a known one except for case (security: a case-folding reader would see
// another message).
func KnownMembers(o Object, known ...string) error {
	for _, m := range o {
		if k := foldKnown(m.Name, known...); k != "" {
			return bad("wire.envelope", "member %q differs from %q in case only", m.Name, k)
		}
	}
	return nil
}

const maxSafe = 1<<53 - 1

// CheckID refuses an id that is not a string of 1 to 256 bytes or an integer within ±(2^53-1) written plainly.
func CheckID(id []byte) error {
	if s, ok := Text(id); ok {
		if len(s) == 0 || len(s) > 256 {
			return bad("wire.id", `"id" must be a string of 1 to 256 bytes`)
		}
		return nil
	}
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil || n > maxSafe || n < -maxSafe || len(id) > 1 && (id[0] == '+' || string(id[:2]) == "-0") {
		return bad("wire.id", `"id" must be a string or an integer within ±(2^53-1), written without fraction or exponent`)
	}
	return nil
}

// AppendRequest writes a request. id is a verified id, params a verified object or nil.
func AppendRequest(dst, id []byte, method string, params []byte) []byte {
	dst = slices.Grow(dst, len(id)+len(method)+len(params)+len(`{"jsonrpc":"2.0","id":,"method":"","params":}`))
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"method":`...)
	dst = AppendString(dst, method)
	return appendParams(dst, params)
}

// AppendNotification writes a notification.
func AppendNotification(dst []byte, method string, params []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","method":`...)
	dst = AppendString(dst, method)
	return appendParams(dst, params)
}

func appendParams(dst, params []byte) []byte {
	if len(params) > 0 {
		dst = append(dst, `,"params":`...)
		dst = append(dst, params...)
	}
	return append(dst, '}')
}

// AppendResult writes a response with a result.
func AppendResult(dst, id, result []byte) []byte {
	return append(append(OpenResult(dst, id), result...), '}')
}

// OpenResult writes a response up to its result; the result and a closing brace are to follow.
func OpenResult(dst, id []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	return append(dst, `,"result":`...)
}

// AppendError writes a response with an error. A nil id is left out, as MCP wants it for unreadable requests.
func AppendError(dst, id []byte, e RPC) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != nil {
		dst = append(dst, `,"id":`...)
		dst = append(dst, id...)
	}
	dst = append(dst, `,"error":{"code":`...)
	dst = strconv.AppendInt(dst, e.Code, 10)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	if e.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.Data...)
	}
	return append(dst, "}}"...)
}

// AppendLine writes a verified message as one line. Line breaks between its tokens become blanks (none stands within a
// string): a reader of lines would take what stands between two of them for a message of its own.
func AppendLine(dst, msg []byte) []byte {
	for _, c := range msg {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, '\n')
}
