package main

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/wire"
)

// maxTries bounds how often a field is asked for again.
const maxTries = 5

// form asks for the fields of a form, one line each. An empty line takes the default, leaves out what is not required, or
// refuses; the end of the input cancels.
func (t *terminal) form(o wire.Object) ([]byte, error) {
	schema, _ := wire.ParseObject(o.Get("requestedSchema"))
	props, _ := wire.ParseObject(schema.Get("properties"))
	var required []string
	list, _ := wire.Elements(schema.Get("required"))
	for _, e := range list {
		name, _ := wire.Text(e)
		required = append(required, name)
	}
	content := wire.Object{}
	for _, p := range props {
		def, _ := wire.ParseObject(p.Value)
		f := newField(p.Name, def, slices.Contains(required, p.Name))
		value, action := t.field(f)
		if action != "" {
			return wire.Object{{Name: "action", Value: wire.String(action)}}.Bytes(), nil
		}
		if value != nil {
			content = append(content, wire.Member{Name: p.Name, Value: value})
		}
	}
	if len(props) == 0 {
		fmt.Fprint(t.out, "  agree? [y/N] ")
		if answer, more := t.line(); !more {
			return []byte(`{"action":"cancel"}`), nil
		} else if !yes(answer) {
			return []byte(`{"action":"decline"}`), nil
		}
	}
	return wire.Object{{Name: "action", Value: []byte(`"accept"`)}, {Name: "content", Value: content.Bytes()}}.Bytes(), nil
}

// field asks until the answer fits. It returns the value, nil when it is left out; or the action that ends the form.
func (t *terminal) field(f field) (value []byte, action string) {
	for range maxTries {
		fmt.Fprintf(t.out, "  %s: ", f.prompt())
		s, more := t.line()
		switch {
		case !more:
			return nil, "cancel"
		case s == "" && f.def != nil:
			return f.def, ""
		case s == "" && f.required:
			return nil, "decline"
		case s == "":
			return nil, ""
		}
		v, want := f.read(s)
		if want == "" {
			return v, ""
		}
		fmt.Fprintf(t.out, "  wanted: %s\n", want)
	}
	return nil, "decline"
}

// choice is one value of an enumeration, and what people call it.
type choice struct{ value, title string }

// field is one question of a form.
type field struct {
	name, title, doc string
	kind             string // string, integer, number, boolean or array
	format           string
	choices          []choice
	required         bool
	def              []byte // nil when there is none
	min, max         []byte // as written
	minLen, maxLen   int
}

func newField(name string, o wire.Object, required bool) field {
	f := field{name: name, required: required, def: o.Get("default"), min: o.Get("minimum"), max: o.Get("maximum")}
	f.title, _ = wire.Text(o.Get("title"))
	f.doc, _ = wire.Text(o.Get("description"))
	f.kind, _ = wire.Text(o.Get("type"))
	f.format, _ = wire.Text(o.Get("format"))
	f.minLen, _ = strconv.Atoi(string(o.Get("minLength")))
	f.maxLen, _ = strconv.Atoi(string(o.Get("maxLength")))
	if f.kind == "array" {
		f.minLen, _ = strconv.Atoi(string(o.Get("minItems")))
		f.maxLen, _ = strconv.Atoi(string(o.Get("maxItems")))
		o, _ = wire.ParseObject(o.Get("items"))
	}
	titles, _ := wire.Elements(o.Get("enumNames"))
	values, _ := wire.Elements(o.Get("enum"))
	for i, v := range values {
		c := choice{}
		c.value, _ = wire.Text(v)
		if i < len(titles) {
			c.title, _ = wire.Text(titles[i])
		}
		f.choices = append(f.choices, c)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		list, _ := wire.Elements(o.Get(key))
		for _, e := range list {
			c, _ := wire.ParseObject(e)
			value, isText := wire.Text(c.Get("const"))
			title, _ := wire.Text(c.Get("title"))
			if isText {
				f.choices = append(f.choices, choice{value, title})
			}
		}
	}
	return f
}

func (f field) prompt() string {
	var b strings.Builder
	b.WriteString(f.name)
	if text := strings.TrimSpace(f.title + " " + f.doc); text != "" {
		b.WriteString(" – " + text)
	}
	b.WriteString(" (")
	switch {
	case len(f.choices) > 0:
		for i, c := range f.choices {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%d %s", i+1, c.value)
			if c.title != "" && c.title != c.value {
				b.WriteString(": " + c.title)
			}
		}
		if f.kind == "array" {
			b.WriteString("; several parted by commas")
		}
	case f.kind == "boolean":
		b.WriteString("y or n")
	case f.format != "":
		b.WriteString(f.format)
	case f.kind == "string" || f.kind == "":
		b.WriteString("text")
	default:
		b.WriteString(f.kind)
	}
	switch {
	case f.def != nil:
		b.WriteString("; empty for " + string(f.def))
	case f.required:
		b.WriteString("; empty to refuse")
	default:
		b.WriteString("; may be empty")
	}
	return clean(b.String() + ")")
}

// read makes JSON of an answer, or says what is wanted instead.
func (f field) read(s string) (value []byte, want string) {
	switch {
	case f.kind == "array":
		return f.readList(s)
	case len(f.choices) > 0:
		if v, ok := f.choose(s); ok {
			return wire.String(v), ""
		}
		return nil, "one of the numbers or values"
	case f.kind == "boolean":
		if yes(s) {
			return []byte("true"), ""
		}
		if slices.Contains([]string{"n", "no", "false"}, strings.ToLower(s)) {
			return []byte("false"), ""
		}
		return nil, "y or n"
	case f.kind == "integer" || f.kind == "number":
		return f.readNumber(s)
	}
	return f.readText(s)
}

func yes(s string) bool { return slices.Contains([]string{"y", "yes", "true"}, strings.ToLower(s)) }

// choose takes a choice by its number, value or title.
func (f field) choose(s string) (string, bool) {
	for i, c := range f.choices {
		if s == c.value || s == strconv.Itoa(i+1) || c.title != "" && strings.EqualFold(s, c.title) {
			return c.value, true
		}
	}
	return "", false
}

func (f field) readList(s string) ([]byte, string) {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		v := strings.TrimSpace(part)
		if len(f.choices) > 0 {
			var ok bool
			if v, ok = f.choose(v); !ok {
				return nil, "some of the numbers or values, parted by commas"
			}
		}
		out = append(out, string(wire.String(v)))
	}
	if len(out) < f.minLen || f.maxLen > 0 && len(out) > f.maxLen {
		return nil, bounds("entries", f.minLen, f.maxLen)
	}
	return []byte("[" + strings.Join(out, ",") + "]"), ""
}

func (f field) readNumber(s string) ([]byte, string) {
	what := map[string]string{"integer": "a whole number", "number": "a number"}[f.kind]
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || wire.Verify([]byte(s), wire.RequestLimits) != nil || f.kind == "integer" && kindOf(s) != "integer" {
		return nil, what
	}
	if low, err := strconv.ParseFloat(string(f.min), 64); err == nil && x < low {
		return nil, fmt.Sprintf("%s of at least %s", what, f.min)
	}
	if high, err := strconv.ParseFloat(string(f.max), 64); err == nil && x > high {
		return nil, fmt.Sprintf("%s of at most %s", what, f.max)
	}
	return []byte(s), ""
}

func (f field) readText(s string) ([]byte, string) {
	if n := utf8.RuneCountInString(s); n < f.minLen || f.maxLen > 0 && n > f.maxLen {
		return nil, bounds("characters", f.minLen, f.maxLen)
	}
	fits := true
	switch f.format {
	case "email":
		a, err := mail.ParseAddress(s)
		fits = err == nil && a.Address == s
	case "uri":
		u, err := url.Parse(s)
		fits = err == nil && u.IsAbs()
	case "date":
		_, err := time.Parse(time.DateOnly, s)
		fits = err == nil
	case "date-time":
		_, err := time.Parse(time.RFC3339, s)
		fits = err == nil
	}
	if !fits {
		return nil, map[string]string{"email": "an address like a@example.org", "uri": "a URL", "date": "a date like 2026-01-31", "date-time": "a time like 2026-01-31T12:00:00Z"}[f.format]
	}
	return wire.String(s), ""
}

func bounds(what string, least, most int) string {
	switch {
	case most == 0:
		return fmt.Sprintf("at least %d %s", least, what)
	case least == 0:
		return fmt.Sprintf("at most %d %s", most, what)
	}
	return fmt.Sprintf("%d to %d %s", least, most, what)
}
