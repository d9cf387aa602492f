package jsonschema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/wire"
)

const (
	maxShown   = 60 // characters of a value that a message repeats
	maxChoices = 8  // choices and names that a message lists
)

// message puts a failure into words.
func (r *run) message(f fail) Failure {
	d := &r.schema.doc
	m := Failure{Path: r.in.path(f.at), Rule: "type", Got: r.in.show(f.at), Want: d.describe(f.n, 0)}
	switch f.rule {
	case ruleFalse:
		m.Rule, m.Want = "false", "nothing here"
	case ruleEnum:
		m.Rule = "enum"
		if f.n.constant != nil {
			m.Rule = "const"
		}
		if f.among != nil {
			m.Want = d.alternatives(f.among, 0)
		}
	case ruleNumber:
		m.Rule = "number"
	case ruleText:
		if m.Rule = "length"; f.num < 0 {
			m.Rule = "pattern"
		} else {
			m.Got = fmt.Sprintf("%s (%s)", m.Got, counted(int(f.num), "character"))
		}
	case ruleItems:
		m.Rule = "items"
	case ruleUnique:
		m.Rule, m.Want = "uniqueItems", "items that differ from each other"
		m.Got = "for the second time " + m.Got
	case ruleContains:
		m.Rule = "contains"
		m.Want = "an array in which " + bounds(f.n.array.atLeast, f.n.array.atMost, "item") + " can be called " + d.describe(f.n.array.contains, 1)
		m.Got = strconv.Itoa(int(f.num)) + " of " + strconv.Itoa(int(r.in.parts[f.at].n))
	case ruleProperties:
		m.Rule = "properties"
		m.Want = "an object with " + bounds(f.n.object.min, f.n.object.max, "property")
		m.Got = counted(int(f.num), "property")
	case ruleRequired, ruleNeeded:
		m.Rule, m.Got = "required", "nothing"
		if f.rule == ruleNeeded {
			m.Rule = "dependentRequired"
		}
		m.Path = string(appendName([]byte(m.Path), f.name))
		m.Want = "a value"
		if mem := f.n.object.members[f.name]; mem != nil && mem.node != nil {
			m.Want = d.describe(mem.node, 0)
			if about := d.about(mem.node, 0); about != "" {
				m.Want += " (" + about + ")"
			}
		}
	case ruleUnknown, ruleUnevaluated:
		m.Rule, m.Want = "additionalProperties", d.suggest(f.n, string(r.in.str(f.at)))
		if f.rule == ruleUnevaluated {
			m.Rule = "unevaluatedProperties"
		}
	case ruleName:
		m.Rule, m.Want = "propertyNames", "a property name that is "+m.Want
	case ruleNot:
		m.Rule, m.Want = "not", "anything but "+d.describe(f.n.apply.not, 1)
		if f.n.apply.not.always {
			m.Want = "nothing here"
		}
	case ruleAny:
		m.Rule = "anyOf"
	case ruleOne:
		m.Rule, m.Want = "oneOf", "a value that fits exactly one of "+strconv.Itoa(len(f.n.apply.one))+" alternatives"
		m.Got = "one that fits several"
	}
	return m
}

// show tells a value in a few words.
func (v *value) show(i int32) string {
	switch p := v.parts[i]; p.kind {
	case text:
		return "the string " + quote(string(v.str(i)))
	case number:
		return "the number " + short(string(v.raw(i)))
	case array:
		if p.n == 0 {
			return "an empty array"
		}
		return "an array of " + counted(int(p.n), "item")
	case object:
		return "an object"
	}
	return string(v.raw(i))
}

// describe tells what a schema wants, in a few words.
func (v *value) describe(n *node, depth int) string {
	switch {
	case n.never:
		return "nothing"
	case n.constant != nil:
		return v.literal(n.constant.list[0])
	case n.enum != nil:
		return v.options(n.enum.list)
	case n.types == 0 && n.implies() == 0 && n.apply != nil && depth < 4:
		for _, list := range [][]*node{n.apply.refs, n.apply.all} {
			if len(list) > 0 {
				return v.describe(list[0], depth+1)
			}
		}
		for _, list := range [][]*node{n.apply.any, n.apply.one} {
			if len(list) > 0 {
				return v.alternatives(list, depth)
			}
		}
	}
	var words []string
	for _, k := range kinds {
		if n.types&k.bit != 0 || n.types == 0 && n.implies()&k.bit != 0 {
			words = append(words, k.say+v.details(n, k.bit))
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	return join(words, " or ")
}

// implies is the kind that the keywords of a schema without a type are about.
func (n *node) implies() uint8 {
	var set uint8
	if n.number != nil {
		set |= number
	}
	if n.text != nil {
		set |= text
	}
	if n.array != nil {
		set |= array
	}
	if n.object != nil {
		set |= object
	}
	return set
}

// details is what a schema says on a kind beyond its name.
func (v *value) details(n *node, kind uint8) string {
	var s string
	switch {
	case kind&(number|integer) != 0 && n.number != nil:
		s = n.number.describe()
	case kind == text && n.text != nil:
		if n.text.min > 0 || n.text.max >= 0 {
			s = " of " + bounds(n.text.min, n.text.max, "character")
		}
		if n.text.pattern != nil {
			s += " that matches " + short(n.text.pattern.source)
		}
	case kind == array && n.array != nil && (n.array.min > 0 || n.array.max >= 0):
		s = " of " + bounds(n.array.min, n.array.max, "item")
	}
	if f := v.text(n.at, "format"); f != "" && kind == text {
		s += " in the format " + short(f)
	}
	return s
}

func (k *numberRules) describe() string {
	var s []string
	if k.least != nil && k.most != nil {
		s = append(s, "from "+k.least.String()+" to "+k.most.String())
	} else if k.least != nil {
		s = append(s, "of at least "+k.least.String())
	} else if k.most != nil {
		s = append(s, "of at most "+k.most.String())
	}
	if k.over != nil {
		s = append(s, "over "+k.over.String())
	}
	if k.under != nil {
		s = append(s, "under "+k.under.String())
	}
	out := join(s, " and ")
	if k.multiple != nil {
		out += " in steps of " + k.multiple.String()
	}
	return " " + strings.TrimPrefix(out, " ")
}

func (v *value) alternatives(list []*node, depth int) string {
	var words []string
	for _, n := range list[:min(len(list), 2*maxChoices)] {
		words = appendNew(words, v.describe(n, depth+1))
	}
	return join(words, " or ")
}

func (v *value) options(list []int32) string {
	var words []string
	for _, i := range list[:min(len(list), maxChoices)] {
		words = append(words, v.literal(i))
	}
	switch more := len(list) - len(words); {
	case len(list) == 0:
		return "nothing"
	case more > 0:
		return fmt.Sprintf("one of %s and %d more", strings.Join(words, ", "), more)
	case len(words) == 1:
		return words[0]
	}
	return "one of " + join(words, " or ")
}

func (v *value) literal(i int32) string {
	if v.parts[i].kind == text {
		return quote(string(v.str(i)))
	}
	return short(string(v.raw(i)))
}

// about is what the author of a schema says on it.
func (v *value) about(n *node, depth int) string {
	for _, k := range []string{"description", "title"} {
		if s := v.text(n.at, k); s != "" {
			s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
			return cut(s, 2*maxShown)
		}
	}
	if n.apply != nil && len(n.apply.refs) > 0 && depth < 4 {
		return v.about(n.apply.refs[0], depth+1)
	}
	return ""
}

// suggest tells which properties there are: the one that is meant, if one is near.
func (v *value) suggest(n *node, name string) string {
	var names, words []string
	look := 500
	v.known(n, &names, &look)
	names = slices.DeleteFunc(names, func(s string) bool { return s == name })
	if near := nearest(name, names); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	for _, s := range names[:min(len(names), maxChoices)] {
		words = append(words, quote(s))
	}
	if n.object != nil && len(words) < maxChoices {
		for _, p := range n.object.patterns {
			words = append(words, "what matches "+short(p.source))
		}
	}
	switch more := len(names) - maxChoices; {
	case len(words) == 0:
		return "none is known here"
	case more > 0:
		return fmt.Sprintf("known are %s and %d more", strings.Join(words, ", "), more)
	}
	return "known are " + join(words, " and ")
}

// known collects the properties that a schema names, in the order it names them.
func (v *value) known(n *node, names *[]string, look *int) {
	if *look--; *look < 0 {
		return
	}
	if props := v.get(n.at, "properties"); props > 0 {
		v.children(props, func(key, _ int32) {
			if key > 0 && len(*names) < 200 {
				*names = appendNew(*names, string(v.str(key)))
			}
		})
	}
	if n.apply != nil {
		n.apply.each(func(sub *node) bool {
			v.known(sub, names, look)
			return *look > 0
		})
	}
}

func (x *decimal) String() string {
	s, e := string(x.digits()), x.exp
	switch {
	case x.n == 0:
		return "0"
	case e >= x.n && e <= 21:
		s += strings.Repeat("0", e-x.n)
	case e > 0 && e < x.n:
		s = s[:e] + "." + s[e:]
	case e <= 0 && e > -6:
		s = "0." + strings.Repeat("0", -e) + s
	default:
		s = s[:1] + strings.TrimSuffix("."+s[1:], ".") + "e" + strconv.Itoa(e-1)
	}
	if x.neg {
		s = "-" + s
	}
	return s
}

// bounds tells how many: "1 to 5 items", "at most 1 item".
func bounds(min, max int32, of string) string {
	switch {
	case max < 0:
		return "at least " + counted(int(min), of)
	case min == max:
		return counted(int(min), of)
	case min <= 0:
		return "at most " + counted(int(max), of)
	}
	return strconv.Itoa(int(min)) + " to " + counted(int(max), of)
}

func counted(n int, of string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(of, "y"):
		of = of[:len(of)-1] + "ies"
	default:
		of += "s"
	}
	return strconv.Itoa(n) + " " + of
}

func join(words []string, last string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + last + words[n]
	}
	return strings.Join(words, "")
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func quote(s string) string { return string(wire.String(short(s))) }

func short(s string) string { return cut(s, maxShown) }

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s[:min(len(s), 4*n)])
	return string(r[:n-1]) + "…"
}

// nearest returns the known name that a typing error away is what was meant, or "".
func nearest(s string, known []string) string {
	if len(s) > 64 {
		return ""
	}
	best, found := min(len(s)/3+2, len(s)), ""
	for _, k := range known {
		if len(k) <= 64 {
			if n := distance(strings.ToLower(s), strings.ToLower(k)); n < best {
				best, found = n, k
			}
		}
	}
	return found
}

// distance counts insertions, deletions and replacements of bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
