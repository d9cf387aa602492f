package main

import (
	"bufio"
	stdctx "context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/mattn/go-isatty"

	"gatehouse"
	"gatehouse/wire"
)

// terminal is the person in front of the command.
type terminal struct {
	in     *bufio.Reader
	out    io.Writer
	person bool
	roots  []wire.Object
}

// isTerminal reports whether a person reads or writes there; /dev/null is a device, and nobody.
func isTerminal(x any) bool {
	f, isFile := x.(*os.File)
	return isFile && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// clean makes text of others harmless to a terminal: control characters, which could move the cursor, colour, retitle or
// type, are shown as ·.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
			return r
		}
		return '·'
	}, s)
}

// addRoot notes a folder to name when the server asks for roots.
func (t *terminal) addRoot(dir string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		var st os.FileInfo
		if st, err = os.Stat(abs); err == nil && !st.IsDir() {
			err = errors.New("not a folder")
		}
	}
	if err != nil {
		return &gatehouse.Error{Code: "call.root", Pos: gatehouse.Pos{File: dir}, Msg: "is no root: " + cause(err), Hint: "name an existing folder, such as --root ."}
	}
	path := filepath.ToSlash(abs)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	uri := url.URL{Scheme: "file", Path: path}
	t.roots = append(t.roots, wire.Object{{Name: "uri", Value: wire.String(uri.String())}, {Name: "name", Value: wire.String(filepath.Base(abs))}})
	return nil
}

// Notify implements gatehouse.Peer.
func (t *terminal) Notify(_ stdctx.Context, method string, params []byte) error {
	if t.out == nil {
		return nil
	}
	o, _ := wire.ParseObject(params)
	switch method {
	case "notifications/progress":
		text, _ := wire.Text(o.Get("message"))
		line := "progress " + string(o.Get("progress"))
		if total := o.Get("total"); total != nil {
			line += " of " + string(total)
		}
		fmt.Fprintln(t.out, strings.TrimSpace(line+" "+clean(text)))
	case "notifications/message":
		fmt.Fprintf(t.out, "server: %s\n", clean(string(o.Get("data"))))
	}
	return nil
}

// CanAsk implements gatehouse.Peer.
func (t *terminal) CanAsk() bool { return true }

// refused is the answer of somebody who will not.
func refused(what string) error {
	return &gatehouse.RPCError{Code: -1, Message: what + " was refused"}
}

// Ask implements gatehouse.Peer. Without a person the answer to every question is no.
func (t *terminal) Ask(_ stdctx.Context, method string, params []byte) ([]byte, error) {
	o, _ := wire.ParseObject(params)
	switch method {
	case "elicitation/create":
		text, _ := wire.Text(o.Get("message"))
		fmt.Fprintf(t.out, "the server asks: %s\n", clean(text))
		if !t.person {
			fmt.Fprintln(t.out, "answered no: standard input is no terminal")
			return []byte(`{"action":"decline"}`), nil
		}
		if mode, _ := wire.Text(o.Get("mode")); mode == "url" {
			return t.visit(o)
		}
		return t.form(o)
	case "sampling/createMessage":
		return t.sample(o)
	case "roots/list":
		if len(t.roots) > 0 {
			var list []string
			for _, r := range t.roots {
				list = append(list, string(r.Bytes()))
			}
			return []byte(`{"roots":[` + strings.Join(list, ",") + `]}`), nil
		}
		return []byte(`{"roots":[]}`), nil
	}
	return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "gatehouse call cannot answer " + method}
}

// line reads one line; ok is false at the end of the input.
func (t *terminal) line() (s string, ok bool) {
	s, err := t.in.ReadString('\n')
	return strings.TrimSpace(s), err == nil || s != ""
}

// visit shows a URL for the person to open. It is never opened for them.
func (t *terminal) visit(o wire.Object) ([]byte, error) {
	text, _ := wire.Text(o.Get("url"))
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		fmt.Fprintf(t.out, "answered no: it names no web address: %s\n", clean(text))
		return []byte(`{"action":"decline"}`), nil
	}
	fmt.Fprintf(t.out, "it wants you to open, at %s:\n\n  %s\n\nopen it yourself if you trust it. Go on? [y/N] ", clean(u.Host), clean(u.String()))
	if answer, _ := t.line(); strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes") {
		return []byte(`{"action":"accept"}`), nil
	}
	return []byte(`{"action":"decline"}`), nil
}

// sample shows the person what the server would have a model answer, and sends what they type.
func (t *terminal) sample(o wire.Object) ([]byte, error) {
	if !t.person {
		return nil, refused("sampling")
	}
	fmt.Fprintln(t.out, "the server wants a model's answer; you are the model.")
	if system, _ := wire.Text(o.Get("systemPrompt")); system != "" {
		fmt.Fprintf(t.out, "system: %s\n", clean(system))
	}
	messages, _ := wire.Elements(o.Get("messages"))
	for _, m := range messages {
		msg, _ := wire.ParseObject(m)
		role, _ := wire.Text(msg.Get("role"))
		blocks, isList := wire.Elements(msg.Get("content"))
		if !isList {
			blocks = [][]byte{msg.Get("content")}
		}
		for _, b := range blocks {
			block, _ := wire.ParseObject(b)
			text, isText := wire.Text(block.Get("text"))
			if !isText {
				text = string(b[:min(len(b), 200)])
			}
			fmt.Fprintf(t.out, "%s: %s\n", clean(role), clean(text))
		}
	}
	fmt.Fprintln(t.out, "your answer, ended by an empty line (nothing refuses):")
	var lines []string
	for {
		s, more := t.line()
		if s == "" || !more {
			break
		}
		lines = append(lines, s)
	}
	if len(lines) == 0 {
		return nil, refused("sampling")
	}
	content := wire.Object{{Name: "type", Value: []byte(`"text"`)}, {Name: "text", Value: wire.String(strings.Join(lines, "\n"))}}
	return wire.Object{
		{Name: "role", Value: []byte(`"assistant"`)},
		{Name: "content", Value: content.Bytes()},
		{Name: "model", Value: []byte(`"a person"`)},
		{Name: "stopReason", Value: []byte(`"endTurn"`)},
	}.Bytes(), nil
}
