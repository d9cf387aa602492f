package main

import "gatehouse/backend/rest/openapi"

// ours is backend/rest/openapi as the checks see it.
func ours() mapping {
	return mapping{parse: func(place string, b []byte, read func(string) ([]byte, error)) (*parsed, error) {
		doc, err := openapi.Parse(place, b, openapi.Options{Read: read})
		if err != nil {
			return nil, err
		}
		p := &parsed{skipped: map[string]string{}, plan: func(i int) (*plan, error) { return planned(doc, doc.Operations[i]) }}
		for _, op := range doc.Operations {
			p.operations = append(p.operations, operation{op.ID, op.Method, op.Path, op.Name})
		}
		for _, s := range doc.Skipped {
			p.skipped[s.Method+" "+s.Path] = s.Reason
		}
		return p, nil
	}}
}

func planned(doc *openapi.Doc, op *openapi.Operation) (*plan, error) {
	p, err := doc.Plan(op)
	if err != nil {
		return nil, err
	}
	out := &plan{input: p.Input, output: p.Output, base: p.Base}
	for _, a := range p.Args {
		out.args = append(out.args, argument{a.Path, a.In, a.Name, a.Binary})
	}
	for _, alternative := range p.Security {
		names := []string{}
		for _, n := range alternative {
			names = append(names, n.Scheme)
		}
		out.security = append(out.security, names)
	}
	out.request = func(args []byte) (*request, error) {
		r, err := p.Request(args)
		if err != nil {
			return nil, err
		}
		q := &request{method: r.Method, path: r.Path, body: r.Body}
		for _, f := range r.Header {
			q.header = append(q.header, [2]string{f.Name, f.Value})
		}
		return q, nil
	}
	return out, nil
}
