package jsonschema

import "fmt"

const maxWarnings = 20

// keyword is the keyword of n whose value is at i. Each method reads those of one sort and reports whether it was one.
type keyword struct {
	*compiler
	n     *node
	i     int32
	in    *resource
	depth int
}

func (k *keyword) sub() *node { return k.schema(k.i, k.in, k.depth) }

// list is an array of schemas.
func (k *keyword) list() []*node {
	var out []*node
	if p := k.doc.parts[k.i]; p.kind != array || p.n == 0 {
		k.wrong(k.i, "an array of schemas")
		return nil
	}
	k.doc.children(k.i, func(_, i int32) { out = append(out, k.schema(i, k.in, k.depth)) })
	return out
}

func (k *keyword) applies(name string) bool {
	switch name {
	case "$ref", "$dynamicRef":
		k.refer(k.n, k.i, k.in)
	case "$defs", "definitions":
		k.members(k.i, func(_ string, i int32) { k.schema(i, k.in, k.depth) })
	case "allOf":
		k.n.applies().all = k.list()
	case "anyOf":
		k.n.applies().any = k.list()
	case "oneOf":
		k.n.applies().one = k.list()
	case "not":
		k.n.applies().not = k.sub()
	case "if":
		k.n.applies().cond = k.sub()
	case "then":
		k.n.applies().then = k.sub()
	case "else":
		k.n.applies().otherwise = k.sub()
	case "dependentSchemas":
		k.members(k.i, k.dependent)
	case "dependencies": // until draft-07: both dependent keywords in one
		k.members(k.i, func(name string, i int32) {
			if k.doc.parts[i].kind == array {
				k.need(name, i)
				return
			}
			k.dependent(name, i)
		})
	case "unevaluatedItems":
		k.n.applies().restItems = k.sub()
	case "unevaluatedProperties":
		k.n.applies().restMembers = k.sub()
	default:
		return false
	}
	return true
}

func (k *keyword) dependent(name string, i int32) {
	a := k.n.applies()
	a.dependent = append(a.dependent, dependent{name, k.schema(i, k.in, k.depth)})
}

func (k *keyword) need(name string, i int32) {
	o := k.n.objects()
	o.needs = append(o.needs, need{name, k.names(i)})
}

func (k *keyword) values(name string) bool {
	switch name {
	case "type":
		k.types()
	case "enum":
		if k.doc.parts[k.i].kind != array {
			k.wrong(k.i, "an array")
			return true
		}
		var list []int32
		k.doc.children(k.i, func(_, i int32) { list = append(list, i) })
		k.n.enum = k.choose(list)
	case "const":
		k.n.constant = k.choose([]int32{k.i})
	case "minimum":
		k.n.numbers().least = k.decimal(k.i)
	case "maximum":
		k.n.numbers().most = k.decimal(k.i)
	case "exclusiveMinimum":
		k.n.numbers().over = k.exclusive("minimum")
	case "exclusiveMaximum":
		k.n.numbers().under = k.exclusive("maximum")
	case "multipleOf":
		x := k.decimal(k.i)
		if x.n == 0 || x.neg {
			k.wrong(k.i, "a number over 0")
		}
		k.n.numbers().multiple = x
	case "minLength":
		k.n.texts().min = k.count()
	case "maxLength":
		k.n.texts().max = k.count()
	case "pattern":
		if p := k.pattern(k.i); p != nil {
			k.n.texts().pattern = p
		}
	default:
		return false
	}
	return true
}

func (k *keyword) arrays(name string) bool {
	switch name {
	case "prefixItems":
		k.n.arrays().prefix = k.list()
	case "items":
		if p := k.doc.parts[k.i]; p.kind != array {
			k.n.arrays().items = k.sub()
			break
		}
		// Until draft-07: what prefixItems is now, and additionalItems what items is.
		if k.doc.parts[k.i].n > 0 {
			k.n.arrays().prefix = k.list()
		}
		if rest := k.doc.get(k.n.at, "additionalItems"); rest > 0 {
			k.n.arrays().items = k.schema(rest, k.in, k.depth)
		}
	case "contains":
		k.n.arrays().contains = k.sub()
		if k.doc.get(k.n.at, "minContains") == 0 {
			k.n.array.atLeast = 1
		}
	case "minContains":
		k.n.arrays().atLeast = k.count()
	case "maxContains":
		k.n.arrays().atMost = k.count()
	case "minItems":
		k.n.arrays().min = k.count()
	case "maxItems":
		k.n.arrays().max = k.count()
	case "uniqueItems":
		k.n.arrays().unique = k.flag()
	default:
		return false
	}
	return true
}

func (k *keyword) objects(name string) bool {
	switch name {
	case "properties":
		k.n.objects()
		k.members(k.i, func(name string, i int32) { k.n.object.member(name).node = k.schema(i, k.in, k.depth) })
	case "patternProperties":
		k.patterned()
	case "additionalProperties":
		k.n.objects().additional = k.sub()
	case "propertyNames":
		k.n.objects().names = k.sub()
	case "required":
		if k.doc.parts[k.i].kind == boolean && k.draft7 {
			break // draft-03, where the member itself says so; many still write it, and nobody reads it
		}
		for _, name := range k.names(k.i) {
			if m := k.n.objects().member(name); !m.required {
				m.required = true
				k.n.object.required = append(k.n.object.required, name)
			}
		}
	case "dependentRequired":
		k.members(k.i, k.need)
	case "minProperties":
		k.n.objects().min = k.count()
	case "maxProperties":
		k.n.objects().max = k.count()
	default:
		return false
	}
	return true
}

func (k *keyword) patterned() {
	if k.doc.parts[k.i].kind != object {
		k.wrong(k.i, "an object of schemas")
		return
	}
	o := k.n.objects()
	k.doc.children(k.i, func(key, val int32) {
		n := k.schema(val, k.in, k.depth)
		if p := k.pattern(key); p != nil {
			o.patterns = append(o.patterns, patternRule{p, n})
			return
		}
		o.open = true
	})
}

var kinds = []struct {
	name string
	bit  uint8
	say  string
}{
	{"string", text, "a string"},
	{"integer", integer, "an integer"},
	{"number", number, "a number"},
	{"boolean", boolean, "true or false"},
	{"object", object, "an object"},
	{"array", array, "an array"},
	{"null", null, "null"},
}

func (k *keyword) types() {
	const want = `"string", "integer", "number", "boolean", "object", "array", "null" or an array of some of them`
	add := func(i int32) {
		for _, t := range kinds {
			if k.doc.parts[i].kind == text && string(k.doc.str(i)) == t.name {
				k.n.types |= t.bit
				return
			}
		}
		k.wrong(i, want)
	}
	if p := k.doc.parts[k.i]; p.kind == array && p.n > 0 {
		k.doc.children(k.i, func(_, i int32) { add(i) })
		return
	}
	add(k.i)
}

func (c *compiler) choose(list []int32) *choices {
	out := &choices{list: list, texts: map[string]struct{}{}}
	for _, i := range list {
		if c.doc.parts[i].kind == text {
			s := string(c.doc.str(i))
			out.texts[s], out.longest = struct{}{}, max(out.longest, len(s))
		}
	}
	return out
}

func (c *compiler) decimal(i int32) *decimal {
	x := new(decimal)
	if c.doc.parts[i].kind != number {
		c.wrong(i, "a number")
		return x
	}
	x.read(c.doc.raw(i))
	return x
}

// exclusive reads a bound that is a number, or until draft-04 a flag beside the bound.
func (k *keyword) exclusive(bound string) *decimal {
	if k.draft7 && k.doc.parts[k.i].kind == boolean {
		if i := k.doc.get(k.n.at, bound); i > 0 && k.flag() {
			return k.decimal(i)
		}
		return nil
	}
	return k.decimal(k.i)
}

func (k *keyword) count() int32 {
	n, ok := k.decimal(k.i).count()
	if !ok {
		k.wrong(k.i, "an integer of at least 0")
	}
	return n
}

func (k *keyword) flag() bool {
	p := k.doc.parts[k.i]
	if p.kind != boolean {
		k.wrong(k.i, "true or false")
	}
	return k.doc.b[p.start] == 't'
}

func (c *compiler) members(i int32, f func(name string, i int32)) {
	if c.doc.parts[i].kind != object {
		c.wrong(i, "an object")
		return
	}
	c.doc.children(i, func(key, val int32) { f(string(c.doc.str(key)), val) })
}

func (c *compiler) names(i int32) []string {
	if c.doc.parts[i].kind != array {
		c.wrong(i, "an array of strings")
		return nil
	}
	var out []string
	c.doc.children(i, func(_, i int32) {
		if c.doc.parts[i].kind != text {
			c.wrong(i, "strings")
			return
		}
		out = append(out, string(c.doc.str(i)))
	})
	return out
}

// pattern compiles the pattern that the string at i is; nil, and a warning, when it cannot be checked.
func (c *compiler) pattern(i int32) *pattern {
	if c.doc.parts[i].kind != text {
		c.wrong(i, "a regular expression")
		return nil
	}
	s := string(c.doc.str(i))
	if p := c.patterns[s]; p != nil {
		return p
	}
	why := fmt.Sprintf("it is longer than %d bytes", c.limits.Pattern)
	var p *pattern
	if len(s) <= c.limits.Pattern {
		p, why = compilePattern(s, maxWeights-c.weights)
	}
	switch {
	case p == nil && len(c.Warnings) >= maxWarnings:
		return nil
	case p == nil:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: the pattern %s is not checked: %s", c.doc.pointer(i), quote(s), why))
		return nil
	}
	c.weights += p.weight
	c.patterns[s] = p
	return p
}
