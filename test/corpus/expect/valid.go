package expect

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// valid returns why a value breaks the schemas, "" when it satisfies them. It is what keeps the samples honest: a value
// that the generator could not make right is not sent.
func (d dialect) valid(v any, ss []at, depth int) string {
	if depth > 60 {
		return "too deep"
	}
	ps, err := d.every(ss)
	if err != nil {
		return err.Error()
	}
	if kinds := d.kinds(ps); kinds != nil && !(d.merged && named(ps)) && !fits(v, kinds) && !slices.Contains(kinds, "file") {
		return fmt.Sprintf("%s is not %s", kindOf(v), strings.Join(kinds, " or "))
	}
	declared := properties(ps)
	for _, p := range ps {
		if why := d.validPart(v, p, declared, depth); why != "" {
			return why
		}
	}
	return ""
}

// named says whether an enum names the values.
func named(ps []part) bool {
	return anyPart(ps, func(p part) bool { return len(p.get("enum").list()) > 0 })
}

func anyPart(ps []part, is func(part) bool) bool { return slices.ContainsFunc(ps, is) }

func fits(v any, kinds []string) bool {
	k := kindOf(v)
	return slices.Contains(kinds, k) || k == "integer" && slices.Contains(kinds, "number")
}

func (d dialect) validPart(v any, p part, declared map[string][]at, depth int) string {
	if p.v == false {
		return "nothing is allowed"
	}
	if e := p.get("enum"); e.is() && !slices.ContainsFunc(e.list(), func(x any) bool { return Equal(x, v) }) {
		return "not in enum"
	}
	if c, ok := p.object()["const"]; ok && !Equal(c, v) {
		return "not the constant"
	}
	if why := d.choices(v, p, depth); why != "" {
		return why
	}
	switch x := v.(type) {
	case string:
		n := json.Number(fmt.Sprint(utf8.RuneCountInString(x)))
		if !within(n, p.get("minLength"), p.get("maxLength")) {
			return "length"
		}
		if pattern := p.get("pattern").text(); pattern != "" && !(d.merged && strings.HasPrefix(pattern, "/^")) {
			if re, err := d.regexp(pattern); err == nil && !re.MatchString(x) {
				return "pattern " + pattern
			}
		}
	case json.Number:
		return d.validNumber(x, p)
	case []any:
		return d.validArray(x, p, depth)
	case map[string]any:
		return d.validObject(x, p, declared, depth)
	}
	return ""
}

func (d dialect) choices(v any, p part, depth int) string {
	for _, word := range []string{"oneOf", "anyOf"} {
		branches := p.get(word).each()
		if len(branches) == 0 {
			continue
		}
		n := 0
		for _, b := range branches {
			if d.valid(v, []at{b}, depth+1) == "" {
				n++
			}
		}
		if n == 0 || word == "oneOf" && n > 1 && !d.merged {
			return fmt.Sprintf("%s: %d branches match", word, n)
		}
	}
	if not := p.get("not"); not.object() != nil && d.valid(v, []at{not}, depth+1) == "" {
		return "not"
	}
	if cond := p.get("if"); d.siblings && cond.is() {
		then := p.get("then")
		if d.valid(v, []at{cond}, depth+1) != "" {
			then = p.get("else")
		}
		if then.is() {
			return d.valid(v, []at{then}, depth+1)
		}
	}
	return ""
}

func within(n json.Number, low, high at) bool {
	x, ok := rat(n)
	if !ok {
		return false
	}
	if l, ok := number(low); ok && x.Cmp(l) < 0 {
		return false
	}
	h, ok := number(high)
	return !ok || x.Cmp(h) <= 0
}

func number(a at) (*big.Rat, bool) {
	n, ok := a.v.(json.Number)
	if !ok {
		return nil, false
	}
	return rat(n)
}

func (d dialect) validNumber(n json.Number, p part) string {
	if !within(n, p.get("minimum"), p.get("maximum")) {
		return "out of range"
	}
	x, _ := rat(n)
	for _, side := range []struct {
		word, edge string
		sign       int
	}{{"exclusiveMinimum", "minimum", 1}, {"exclusiveMaximum", "maximum", -1}} {
		edge, ok := number(p.get(side.word))
		if p.get(side.word).truth() {
			edge, ok = number(p.get(side.edge))
		}
		if ok && x.Cmp(edge) != side.sign {
			return "out of range"
		}
	}
	if m, ok := number(p.get("multipleOf")); ok && m.Sign() > 0 && !new(big.Rat).Quo(x, m).IsInt() {
		return "not a multiple"
	}
	return ""
}

func (d dialect) validArray(x []any, p part, depth int) string {
	n := json.Number(fmt.Sprint(len(x)))
	if !within(n, p.get("minItems"), p.get("maxItems")) {
		return "number of items"
	}
	if p.get("uniqueItems").truth() {
		for i := range x {
			for j := range i {
				if Equal(x[i], x[j]) {
					return "items are not unique"
				}
			}
		}
	}
	prefix := p.get("prefixItems").each()
	for i, e := range x {
		items := p.get("items")
		if i < len(prefix) {
			items = prefix[i]
		}
		if items.v == false {
			return "no such item"
		}
		if items.object() != nil {
			if why := d.valid(e, []at{items}, depth+1); why != "" {
				return "item: " + why
			}
		}
	}
	return ""
}

func (d dialect) validObject(x map[string]any, p part, declared map[string][]at, depth int) string {
	n := json.Number(fmt.Sprint(len(x)))
	if !within(n, p.get("minProperties"), p.get("maxProperties")) {
		return "number of properties"
	}
	own := p.get("properties")
	for _, r := range p.get("required").each() {
		if _, have := x[r.text()]; !have && !d.hidden(declared[r.text()]) {
			return "required " + r.text()
		}
	}
	for _, k := range keys(x) {
		if s := own.get(k); s.is() {
			if why := d.valid(x[k], []at{s}, depth+1); why != "" {
				return k + ": " + why
			}
			continue
		}
		if matched := d.patterned(p, k); len(matched) > 0 {
			if why := d.valid(x[k], matched, depth+1); why != "" {
				return k + ": " + why
			}
			continue
		}
		if d.merged && declared[k] != nil {
			continue
		}
		if extra := p.get("additionalProperties"); extra.v == false {
			return "no property " + k
		} else if extra.object() != nil {
			if why := d.valid(x[k], []at{extra}, depth+1); why != "" {
				return k + ": " + why
			}
		}
		if names := p.get("propertyNames"); names.object() != nil {
			if why := d.valid(k, []at{names}, depth+1); why != "" {
				return k + ": " + why
			}
		}
	}
	return ""
}

func (d dialect) patterned(p part, name string) []at {
	var out []at
	for k, s := range p.get("patternProperties").object() {
		if re, err := d.regexp(k); err == nil && re.MatchString(name) {
			out = append(out, at{p.f, s})
		}
	}
	return out
}

// hidden says whether a property is only for responses.
//
// In 3.0 what stands beside $ref is to be ignored, readOnly too; authors who write it mean it, so such a property is
// neither sent nor missed.
func (d dialect) hidden(ss []at) bool {
	if slices.ContainsFunc(ss, func(s at) bool { return s.get("readOnly").truth() }) {
		return true
	}
	ps, err := d.every(ss)
	return err == nil && anyPart(ps, func(p part) bool { return p.get("readOnly").truth() })
}

// Regexp compiles a pattern of JSON Schema, which is one of ECMA-262. What Go's engine has no words for is an error.
func Regexp(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile(goPattern(pattern))
}

// regexp is Regexp, which is asked for the same few patterns of a document again and again.
func (d dialect) regexp(pattern string) (*regexp.Regexp, error) {
	c, have := d.patterns[pattern]
	if !have {
		c.re, c.err = Regexp(pattern)
		d.patterns[pattern] = c
	}
	return c.re, c.err
}

type compiled struct {
	re  *regexp.Regexp
	err error
}

// goPattern turns \uXXXX and \u{X} into \x{X}.
func goPattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch {
		case s[i+1] == 'u' && i+2 < len(s) && s[i+2] == '{':
			b.WriteString(`\x`)
		case s[i+1] == 'u' && i+5 < len(s):
			b.WriteString(`\x{` + s[i+2:i+6] + `}`)
			i += 4
		default:
			b.WriteString(s[i : i+2])
		}
		i++
	}
	return b.String()
}
