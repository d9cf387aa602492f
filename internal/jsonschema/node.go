package jsonschema

// node is one compiled schema. What looks at one kind of value stands in a part of its own, nil when there is nothing to
// look at.
type node struct {
	at       int32 // its place in the schema's text
	never    bool  // false: nothing fits
	always   bool  // no keyword that checks: everything fits
	types    uint8 // the kinds that fit; 0 means all
	visit    uint8 // of the search for cycles
	enum     *choices
	constant *choices
	number   *numberRules
	text     *textRules
	array    *arrayRules
	object   *objectRules
	apply    *apply
}

// choices are the values that fit. Strings among them have an index, too.
type choices struct {
	list    []int32
	texts   map[string]struct{}
	longest int // bytes of a string
}

type numberRules struct {
	least, most, over, under, multiple *decimal
}

type textRules struct {
	min, max int32 // max -1 means none, here and below
	pattern  *pattern
}

type arrayRules struct {
	min, max        int32
	prefix          []*node
	items           *node
	contains        *node
	atLeast, atMost int32 // that contains holds
	unique          bool
}

type objectRules struct {
	min, max   int32
	members    map[string]*member // of properties and required
	required   []string
	patterns   []patternRule
	open       bool // a pattern cannot be checked: any name may be meant by it
	additional *node
	names      *node
	needs      []need
}

type member struct {
	node     *node // nil when it is only required
	required bool
}

type patternRule struct {
	*pattern
	node *node
}

// need is a dependentRequired.
type need struct {
	when  string
	names []string
}

// apply holds the schemas that look at the same value as this one.
type apply struct {
	refs                       []*node
	all, any, one              []*node
	not, cond, then, otherwise *node
	dependent                  []dependent
	restItems, restMembers     *node // unevaluatedItems, unevaluatedProperties
}

type dependent struct {
	when string
	node *node
}

// each calls f for every schema that looks at the same value, until it returns false. The rest* schemas do not: they look
// at its parts.
func (a *apply) each(f func(*node) bool) bool {
	for _, list := range [][]*node{a.refs, a.all, a.any, a.one, {a.not, a.cond, a.then, a.otherwise}} {
		for _, n := range list {
			if n != nil && !f(n) {
				return false
			}
		}
	}
	for _, d := range a.dependent {
		if !f(d.node) {
			return false
		}
	}
	return true
}

// rest is the schema of the parts that nothing else looked at; nil when there is none for the kind.
func (a *apply) rest(kind uint8) *node {
	switch {
	case a == nil:
		return nil
	case kind == array:
		return a.restItems
	case kind == object:
		return a.restMembers
	}
	return nil
}

func (n *node) numbers() *numberRules {
	if n.number == nil {
		n.number = new(numberRules)
	}
	return n.number
}

func (n *node) texts() *textRules {
	if n.text == nil {
		n.text = &textRules{max: -1}
	}
	return n.text
}

func (n *node) arrays() *arrayRules {
	if n.array == nil {
		n.array = &arrayRules{max: -1, atMost: -1}
	}
	return n.array
}

func (n *node) objects() *objectRules {
	if n.object == nil {
		n.object = &objectRules{max: -1, members: map[string]*member{}}
	}
	return n.object
}

func (n *node) applies() *apply {
	if n.apply == nil {
		n.apply = new(apply)
	}
	return n.apply
}

func (o *objectRules) member(name string) *member {
	m := o.members[name]
	if m == nil {
		m = new(member)
		o.members[name] = m
	}
	return m
}
