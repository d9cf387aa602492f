package expect

import (
	"cmp"
	"errors"
	"mime"
	"slices"
	"strings"
)

// body3 chooses the media type of a Request Body Object.
func (op *Operation) body3() error {
	written := op.from.get("requestBody")
	if written.object() == nil {
		return nil
	}
	b, err := written.follow()
	if err != nil {
		return err
	}
	content := b.get("content")
	types := keys(content.object())
	if len(types) == 0 {
		return nil
	}
	slices.SortStableFunc(types, func(x, y string) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), strings.Compare(x, y))
	})
	for _, t := range types {
		media, err := content.get(t).follow()
		if err != nil {
			return err
		}
		one := &Body{Media: t, Required: b.get("required").truth(), content: media, Schemas: schemas(media.get("schema"), b)}
		if op.Body == nil {
			op.Body = one
		} else {
			op.Body.others = append(op.Body.others, one)
		}
	}
	switch op.Method {
	case "GET", "HEAD", "DELETE", "TRACE", "OPTIONS":
		// 3.0: SHALL be ignored where HTTP gives the body no meaning. 3.1: permitted, SHOULD be avoided.
		op.Body.Optional = true
	}
	return nil
}

// rank is the order in which media types are preferred: the one for which the in-memory value is the message comes first.
func rank(t string) int {
	b := bare(t)
	switch {
	case b == "application/json" && b == strings.ToLower(t):
		return 0
	case b == "application/json":
		return 1
	case isJSON(t):
		return 2
	case b == "application/x-www-form-urlencoded":
		return 3
	case b == "multipart/form-data":
		return 4
	case strings.HasPrefix(b, "multipart/"):
		return 5
	case isXML(t):
		return 7
	case strings.HasPrefix(b, "text/"):
		return 6
	case strings.Contains(b, "*"):
		return 9
	}
	return 8
}

func isXML(t string) bool {
	b := bare(t)
	return b == "application/xml" || b == "text/xml" || strings.HasSuffix(b, "+xml")
}

// body2 adds a body or formData parameter of 2.0.
func (op *Operation) body2(p at) error {
	consumes := op.from.get("consumes")
	if !consumes.is() {
		consumes = op.doc.root.get("consumes")
	}
	var types []string
	for _, c := range consumes.each() {
		types = append(types, c.text())
	}
	slices.SortStableFunc(types, func(x, y string) int { return cmp.Compare(rank(x), rank(y)) })
	if p.get("in").text() == "body" {
		if len(types) == 0 {
			types = []string{"application/json"}
		}
		op.Body = &Body{Media: types[0], Required: p.get("required").truth(), Schemas: schemas(p.get("schema"), p), content: p}
		return nil
	}
	if op.Body == nil {
		op.Body = &Body{content: p}
	}
	q := &Param{In: "query", Name: p.get("name").text(), Required: p.get("required").truth()}
	op.param2(q, p)
	b := op.Body
	b.form = append(b.form, q)
	b.Required = b.Required || q.Required
	b.Media = "application/x-www-form-urlencoded"
	isFile := slices.ContainsFunc(b.form, func(q *Param) bool { return q.Schemas[0].get("type").text() == "file" })
	if isFile || slices.ContainsFunc(types, isMultipart) && !slices.Contains(types, b.Media) {
		b.Media = "multipart/form-data"
	}
	props, need := map[string]any{}, []any{}
	for _, q := range b.form {
		props[q.Name] = q.Schemas[0].v
		if q.Required {
			need = append(need, q.Name)
		}
	}
	b.Schemas = []at{{p.f, map[string]any{"type": "object", "properties": props, "required": need}}}
	return nil
}

func isMultipart(t string) bool { return strings.HasPrefix(bare(t), "multipart/") }

// matches says whether a media type that was sent is the declared one: the same type, or one within the range, with
// the declared parameters.
func matches(sent, declared string) error {
	if declared == "" {
		return nil
	}
	dt, dp, err := mime.ParseMediaType(declared)
	if err != nil || !strings.Contains(dt, "/") {
		return nil // not a media type: there is nothing right to expect
	}
	st, sp, err := mime.ParseMediaType(sent)
	if err != nil {
		return err
	}
	same := st == dt || dt == "*/*"
	if before, after, ok := strings.Cut(dt, "*"); ok && strings.HasPrefix(st, before) && strings.HasSuffix(st, after) {
		same = true
	}
	if !same {
		return errors.New("content type " + sent + ", declared " + declared)
	}
	for k, v := range dp {
		if k != "boundary" && k != "q" && !strings.EqualFold(sp[k], v) {
			return errors.New("content type " + sent + " lacks " + k + "=" + v)
		}
	}
	return nil
}
