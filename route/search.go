package route

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"gatehouse"
	"gatehouse/wire"
)

// Names of the tools that stand for those of sources with expose: search.
const (
	SearchTools  = "search_tools"
	DescribeTool = "describe_tool"
	CallTool     = "call_tool"
)

var searchDefs = []gatehouse.Tool{
	{Name: SearchTools, Risk: gatehouse.Read, Def: []byte(`{"name":"search_tools","title":"Search tools","description":"Find tools by what they do. Returns names and descriptions, best first. Then read one with describe_tool and call it with call_tool.",` +
		`"inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"words for what is wanted, such as: list open orders of a customer"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":10}},"required":["query"],"additionalProperties":false},` +
		`"outputSchema":{"type":"object","properties":{"tools":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"description":{"type":"string"}},"required":["name"]}},"more":{"type":"integer","description":"further tools that match"}},"required":["tools","more"]},` +
		`"annotations":{"readOnlyHint":true,"openWorldHint":false}}`)},
	{Name: DescribeTool, Risk: gatehouse.Read, Def: []byte(`{"name":"describe_tool","title":"Describe a tool","description":"Return the definition of a tool that search_tools found: its description and the schema of its arguments.",` +
		`"inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"name of the tool"}},"required":["name"],"additionalProperties":false},` +
		`"annotations":{"readOnlyHint":true,"openWorldHint":false}}`)},
	{Name: CallTool, Risk: gatehouse.Read, Def: []byte(`{"name":"call_tool","title":"Call a tool","description":"Call a tool that search_tools found, with arguments that fit the schema which describe_tool returned.",` +
		`"inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"name of the tool"},"arguments":{"type":"object","description":"its arguments"}},"required":["name"],"additionalProperties":false},` +
		`"annotations":{"readOnlyHint":false}}`)},
}

// Search is the tools of a view that are found rather than listed. Its index is made when it is first needed.
type Search struct {
	view  *View
	found []Entry
	index func() *index
}

func newSearch(v *View, found []Entry) *Search {
	s := &Search{view: v, found: found}
	s.index = sync.OnceValue(func() *index { return newIndex(found) })
	return s
}

// Warm makes the index, so that the first who searches does not wait.
func (s *Search) Warm() { s.index() }

// Unwrap returns the call inside arguments of call_tool. problem says to the model what is wrong with them.
func (s *Search) Unwrap(arguments []byte) (name string, inner []byte, problem string) {
	o, ok := wire.ParseObject(arguments)
	name, isText := wire.Text(o.Get("name"))
	inner = o.Get("arguments")
	switch {
	case !ok || !isText:
		return "", nil, `call_tool needs the name of a tool, as in {"name":"list_orders","arguments":{}}`
	case wire.IsNull(inner):
		inner = []byte("{}")
	case !wire.IsObject(inner):
		return "", nil, "arguments of call_tool must be an object: the arguments of the tool " + strconv.Quote(name)
	}
	if e := s.view.tools[name]; e == nil || e.Source == nil {
		return "", nil, fmt.Sprintf("There is no tool %q here; find its name with search_tools.", name)
	}
	return name, inner, ""
}

// Bounds of answers.
const (
	searchLimit = 10
	searchMost  = 50
	searchText  = 240 // bytes of a description
)

// Find answers search_tools; see tells which tools the caller may see.
func (s *Search) Find(arguments []byte, see func(*Entry) bool) *gatehouse.Result {
	o, _ := wire.ParseObject(arguments)
	query, ok := wire.Text(o.Get("query"))
	if !ok || strings.TrimSpace(query) == "" {
		return problem(`search_tools needs a query, as in {"query":"list open orders"}`)
	}
	limit := searchLimit
	if n, err := strconv.Atoi(string(o.Get("limit"))); err == nil && n > 0 {
		limit = min(n, searchMost)
	}
	out := []byte(`{"tools":[`)
	n, more := 0, 0
	for _, i := range s.index().find(query) {
		e := &s.found[i]
		if !see(e) {
			continue
		}
		if n == limit {
			more++
			continue
		}
		def, ok := wire.ParseObject(e.Published("tools"))
		if !ok {
			continue
		}
		if n++; n > 1 {
			out = append(out, ',')
		}
		t := wire.Object{{Name: "name", Value: wire.String(e.Name)}}
		if d, _ := wire.Text(def.Get("description")); d != "" {
			if len(d) > searchText {
				d = strings.ToValidUTF8(d[:searchText], "") + "…"
			}
			t = append(t, wire.Member{Name: "description", Value: wire.String(d)})
		}
		out = t.Append(out)
	}
	out = append(strconv.AppendInt(append(out, `],"more":`...), int64(more), 10), '}')
	return structured(out)
}

// Describe answers describe_tool. A tool that the caller may not see is not there.
func (s *Search) Describe(arguments []byte, see func(*Entry) bool) *gatehouse.Result {
	o, _ := wire.ParseObject(arguments)
	name, _ := wire.Text(o.Get("name"))
	e := s.view.tools[name]
	if e == nil || e.Source == nil || !see(e) {
		return problem(fmt.Sprintf("There is no tool %q here; find its name with search_tools.", name))
	}
	def, ok := wire.ParseObject(e.Published("tools"))
	if !ok {
		return problem(fmt.Sprintf("The tool %q cannot be used now.", name))
	}
	b := append([]byte(`{"content":[{"type":"text","text":`), wire.String(string(def.Delete("outputSchema").Bytes()))...)
	return &gatehouse.Result{Raw: append(b, `}]}`...)}
}

func problem(text string) *gatehouse.Result {
	b := append([]byte(`{"content":[{"type":"text","text":`), wire.String(text)...)
	return &gatehouse.Result{Raw: append(b, `}],"isError":true}`...), IsError: true}
}

// Problem is a result that tells the model what is wrong with its call.
func (s *Search) Problem(text string) *gatehouse.Result { return problem(text) }

func structured(v []byte) *gatehouse.Result {
	b := append([]byte(`{"content":[{"type":"text","text":`), wire.String(string(v))...)
	b = append(append(b, `}],"structuredContent":`...), v...)
	return &gatehouse.Result{Raw: append(b, '}')}
}

// index ranks texts by BM25 (Robertson and Zaragoza, 2009).
type index struct {
	terms   map[string][]posting
	sorted  []string // the terms, for beginnings of words
	lengths []uint16
	mean    float64
}

type posting struct {
	doc int32
	n   uint16
}

// Bounds and weights of an index.
const (
	maxTerms   = 300 // of one text
	nameWeight = 3   // a word of the name counts as often
	bm25K      = 1.2
	bm25B      = 0.75
	maxBegins  = 30 // terms that a beginning stands for
	maxWords   = 50 // of a query
)

func newIndex(entries []Entry) *index {
	x := &index{terms: map[string][]posting{}, lengths: make([]uint16, len(entries))}
	total := 0
	counts := map[string]uint16{}
	for i := range entries {
		e := &entries[i]
		clear(counts)
		n := 0
		add := func(text string, weight uint16) {
			words(text, func(w string) bool {
				if n++; n > maxTerms {
					return false
				}
				counts[w] += weight
				return true
			})
		}
		add(e.Own, nameWeight)
		add(textOf(e), 1)
		for w, c := range counts {
			x.terms[w] = append(x.terms[w], posting{int32(i), c})
		}
		x.lengths[i] = uint16(min(n, maxTerms))
		total += n
	}
	x.mean = max(float64(total)/float64(max(len(entries), 1)), 1)
	for w, p := range x.terms {
		x.terms[w] = slices.Clip(p)
		x.sorted = append(x.sorted, w)
	}
	slices.Sort(x.sorted)
	return x
}

// textOf is the words of an entry besides its name.
func textOf(e *Entry) string {
	if e.Text != nil {
		return e.Text()
	}
	def, _ := wire.ParseObject(e.Definition())
	title, _ := wire.Text(def.Get("title"))
	description, _ := wire.Text(def.Get("description"))
	text := []string{title, description}
	schema, _ := wire.ParseObject(def.Get("inputSchema"))
	props, _ := wire.ParseObject(schema.Get("properties"))
	for _, m := range props {
		text = append(text, m.Name)
	}
	return strings.Join(text, "\n")
}

// find returns the texts that share a word with the query, best first.
func (x *index) find(query string) []int32 {
	r := ranking{index: x, score: make([]float32, len(x.lengths))}
	seen := map[string]bool{}
	words(query, func(w string) bool {
		if seen[w] || len(seen) > maxWords {
			return true
		}
		seen[w] = true
		if p := x.terms[w]; p != nil {
			r.add(p, 1)
			return true
		}
		if len(w) < 3 {
			return true
		}
		at, _ := slices.BinarySearch(x.sorted, w)
		for n := 0; at+n < len(x.sorted) && n < maxBegins && strings.HasPrefix(x.sorted[at+n], w); n++ {
			r.add(x.terms[x.sorted[at+n]], 0.5)
		}
		return true
	})
	slices.SortFunc(r.docs, func(a, b int32) int {
		switch d := r.score[a] - r.score[b]; {
		case d > 0:
			return -1
		case d < 0:
			return 1
		}
		return int(a - b)
	})
	return r.docs
}

// ranking is the texts found so far.
type ranking struct {
	*index
	score []float32 // of every text
	docs  []int32   // with a score
}

func (r *ranking) add(list []posting, weight float64) {
	n := float64(len(list))
	idf := weight * math.Log(1+(float64(len(r.lengths))-n+0.5)/(n+0.5))
	for _, p := range list {
		if r.score[p.doc] == 0 {
			r.docs = append(r.docs, p.doc)
		}
		tf := float64(p.n)
		norm := bm25K * (1 - bm25B + bm25B*float64(r.lengths[p.doc])/r.mean)
		r.score[p.doc] += float32(idf * tf * (bm25K + 1) / (tf + norm))
	}
}

// words calls f with the words of s in lower case, parted at marks, digits and capitals, until f returns false.
func words(s string, f func(string) bool) {
	rs := []rune(s)
	start := -1
	flush := func(end int) bool {
		if start < 0 {
			return true
		}
		w := strings.ToLower(string(rs[start:end]))
		start = -1
		if len(w) > 40 {
			return true
		}
		return f(stem(w))
	}
	for i, r := range rs {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		capital := letter && start >= 0 && unicode.IsUpper(r) && (!unicode.IsUpper(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1]))
		if start >= 0 && (!letter || capital) {
			if !flush(i) {
				return
			}
		}
		if letter && start < 0 {
			start = i
		}
	}
	flush(len(rs))
}

// stem takes the plural of English off.
func stem(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 4 && (strings.HasSuffix(w, "sses") || strings.HasSuffix(w, "xes") || strings.HasSuffix(w, "ches") || strings.HasSuffix(w, "shes")):
		return w[:len(w)-2]
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
		return w[:len(w)-1]
	}
	return w
}
