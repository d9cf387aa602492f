package expect

import (
	"fmt"
	"slices"
	"strings"
)

func (g *gen) object(ps []part, ss []at, depth int) (any, bool) {
	declared, need := properties(ps), required(ps)
	least, most := bounds(ps, "minProperties", "maxProperties")
	out := map[string]any{}
	names := make([]string, 0, len(declared))
	for k := range declared {
		names = append(names, k)
	}
	for k := range need {
		if declared[k] == nil {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range names {
		schemas := declared[k]
		if schemas == nil {
			schemas = extra(ps)
		}
		if g.d.hidden(schemas) {
			continue
		}
		wanted := need[k]
		if !wanted {
			wanted = g.variant != Least && depth < 5 && g.left > 0 && (most < 0 || len(out) < most-len(need)) || len(out) < least && len(need) < least
		}
		if !wanted {
			continue
		}
		v, ok := g.value(schemas, depth+1)
		if !ok {
			if need[k] {
				return nil, false
			}
			continue
		}
		out[k] = v
	}
	open := anyPart(ps, func(p part) bool {
		return p.get("additionalProperties").object() != nil || p.get("additionalProperties").v == true
	})
	closed := anyPart(ps, func(p part) bool { return p.get("additionalProperties").v == false })
	if len(names) == 0 && !closed {
		open = true
	}
	if open && !closed && (g.variant == Filled || g.variant == Other || len(out) < least) && depth < 5 {
		for i := range max(1, least-len(out)) {
			key := fmt.Sprintf("k %d/é", i)
			if g.variant == Other || g.alphabet.ascii || g.alphabet.without != "" {
				key = fmt.Sprintf("key%d", i)
			}
			if v, ok := g.value(extra(ps), depth+1); ok && (most < 0 || len(out) < most) {
				out[key] = v
			}
		}
	}
	if !g.heavy(ps) {
		return out, true
	}
	if g.d.valid(out, withoutChoices(ss), 0) != "" {
		return nil, false
	}
	return out, true
}

// heavy says whether the object itself must be checked: its properties have been already.
func (g *gen) heavy(ps []part) bool {
	return anyPart(ps, func(p part) bool {
		m := p.object()
		for _, w := range []string{"not", "if", "minProperties", "maxProperties", "patternProperties", "propertyNames", "dependentRequired"} {
			if _, have := m[w]; have {
				return true
			}
		}
		return p.get("additionalProperties").v == false && len(ps) > 1
	})
}

// withoutChoices is the schemas as they are: choices between branches are checked where the branch is picked.
func withoutChoices(ss []at) []at {
	out := make([]at, 0, len(ss))
	for _, s := range ss {
		if s.get("oneOf").is() || s.get("anyOf").is() {
			m := map[string]any{}
			for k, v := range s.object() {
				if k != "oneOf" && k != "anyOf" {
					m[k] = v
				}
			}
			s = at{s.f, m}
		}
		out = append(out, s)
	}
	return out
}

// extra are the schemas of properties that are not declared.
func extra(ps []part) []at {
	var out []at
	for _, p := range ps {
		if a := p.get("additionalProperties"); a.object() != nil {
			out = append(out, a)
		}
	}
	if out == nil {
		out = []at{{nil, map[string]any{"type": "string"}}} // it refers to nothing, so it needs no file
	}
	return out
}

func (g *gen) array(ps []part, ss []at, depth int) (any, bool) {
	least, most := bounds(ps, "minItems", "maxItems")
	n := least
	switch {
	case depth >= 6 || g.left <= 0 && depth > 0:
	case g.variant == Filled:
		n = max(n, 3)
	case g.variant == Other, g.variant == Least:
		n = max(n, 1)
	case g.variant == Empty && (g.alphabet.some || depth == 0 && g.alphabet.ascii):
		n = max(n, 1)
	}
	if most >= 0 && n > most {
		n = most
	}
	if n > 200 {
		return nil, false
	}
	var items []at
	var prefix []at
	for _, p := range ps {
		if it := p.get("items"); it.object() != nil {
			items = append(items, it)
		}
		prefix = append(prefix, p.get("prefixItems").each()...)
		if p.get("prefixItems").is() && p.get("items").v == false {
			n = min(n, len(p.get("prefixItems").list()))
		}
	}
	if len(prefix) > 0 && g.variant != Empty {
		n = max(n, min(len(prefix), 3))
	}
	if items == nil {
		items = []at{{nil, map[string]any{"type": "string"}}}
	}
	out := make([]any, 0, n)
	for i := 0; len(out) < n && i < n+8; i++ {
		schemas := items
		if len(out) < len(prefix) {
			schemas = []at{prefix[len(out)]}
		}
		v, ok := g.value(schemas, depth+1)
		if !ok {
			break
		}
		if !slices.ContainsFunc(out, func(x any) bool { return Equal(x, v) }) || !anyPart(ps, func(p part) bool { return p.get("uniqueItems").truth() }) {
			out = append(out, v)
		}
	}
	if len(out) < least {
		return nil, false
	}
	return out, true
}

func isJSON(mediaType string) bool {
	t := bare(mediaType)
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// bare is a media type without parameters, in lower case.
func bare(mediaType string) string {
	t, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}
