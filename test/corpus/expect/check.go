package expect

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// CompareBase returns how a base URL differs from the one in force; a relative one is resolved by whoever knows the
// document's place, so only its path can be compared.
func (op *Operation) CompareBase(got string) string {
	want := strings.TrimRight(op.Base, "/")
	got = strings.TrimRight(got, "/")
	if want == got {
		return ""
	}
	w, err := url.Parse(want)
	if err != nil {
		return "" // not a URL: there is nothing right to expect
	}
	if g, err := url.Parse(got); err == nil && (w.Scheme == "" || w.Host == "" || strings.Contains(w.Host, "{")) &&
		(strings.TrimRight(g.Path, "/") == strings.TrimRight(w.Path, "/") || !strings.HasPrefix(w.Path, "/") || got == "") {
		return ""
	}
	return fmt.Sprintf("%q, want %q", got, want)
}

// CompareSecurity returns how the alternatives of schemes differ from the document's.
func (op *Operation) CompareSecurity(got [][]string) string {
	flat := func(alts [][]string) []string {
		var out []string
		for _, a := range alts {
			a = slices.Clone(a)
			slices.Sort(a)
			out = append(out, strings.Join(a, "+"))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	schemes := op.doc.root.get("components").get("securitySchemes")
	if op.doc.Revision == "2.0" {
		schemes = op.doc.root.get("securityDefinitions")
	}
	for _, a := range op.Security {
		for _, s := range a {
			if !schemes.get(s).is() {
				return "" // a scheme that is not there: nothing right to expect
			}
		}
	}
	w, g := flat(op.Security), flat(got)
	if slices.Equal(w, g) || len(g) == 0 && slices.Equal(w, []string{""}) {
		return ""
	}
	return fmt.Sprintf("%v, want %v", g, w)
}

// Needed says whether a call without the parameter is no call of the operation.
func (q *Param) Needed() bool { return q.Required && q.Note == "" }

// Plain says whether the parameter's schema allows no object: then a tool must refuse one.
func (op *Operation) Plain(q *Param) bool {
	*op.doc.d.fuel = enough
	ps, err := op.doc.d.every(q.Schemas)
	if err != nil || q.Note != "" {
		return false
	}
	kinds := op.doc.d.kinds(ps)
	return len(kinds) > 0 && !slices.Contains(kinds, "object") && !slices.Contains(kinds, "file") && !slices.ContainsFunc(kinds, func(k string) bool {
		return !slices.Contains([]string{"string", "integer", "number", "boolean", "array", "null"}, k)
	}) && !named(ps)
}

// EmptyBody says whether the body's schema is an object without properties that a request could hold.
func (op *Operation) EmptyBody() bool {
	*op.doc.d.fuel = enough
	ps, err := op.doc.d.every(op.Body.Schemas)
	if err != nil {
		return false
	}
	for _, s := range properties(ps) {
		if !op.doc.d.hidden(s) {
			return false
		}
	}
	return slices.Equal(op.doc.d.kinds(ps), []string{"object"}) && !hasChoice(ps)
}
