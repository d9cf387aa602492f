package docgen

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Code is one error code, with the words that the source gives it.
type Code struct {
	Code  string
	Says  []string // messages, "…" for what varies
	Hints []string
	Where []string // files
}

// areas are the first words of codes, with what they are about. What is written to a member Code is a code in any case.
var areas = map[string]string{
	"access":     "The access stage: may the caller do this?",
	"audit":      "The record.",
	"auth":       "Signing in.",
	"call":       "The command `gatehouse call`.",
	"cli":        "The command line.",
	"config":     "The configuration file.",
	"egress":     "Outgoing connections; callers see `source.unavailable`, the log has these.",
	"gateway":    "The gateway itself.",
	"http":       "HTTP requests that are refused before they are calls.",
	"jsonschema": "Arguments that do not fit a tool's schema.",
	"key":        "Access keys.",
	"openapi":    "Documents of REST APIs, and the arguments of their operations.",
	"origin":     "Where a browser's request comes from.",
	"route":      "Published servers and their names.",
	"serve":      "Starting the server.",
	"session":    "Sessions of the legacy era.",
	"source":     "What stands behind a published server.",
	"stdio":      "Standard input and output.",
	"wire":       "Messages that are not acceptable.",
}

var codeForm = regexp.MustCompile(`^([a-z]+)\.[a-z][a-z0-9_]*$`)

// Codes reads the tree's Go files and returns every code in them, in order.
func Codes(tree fs.FS) ([]Code, error) {
	r := &codeReader{found: map[string]*Code{}}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		if base := e.Name(); name != "." && (base[0] == '.' || base == "testdata" || base == "node_modules" || name == "test" || name == "docs" || name == "internal/docgen" || name == "internal/houserules") {
			return fs.SkipDir
		}
		return r.folder(tree, name)
	})
	if err != nil {
		return nil, err
	}
	var out []Code
	for _, c := range r.found {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Code) int { return cmp.Compare(a.Code, b.Code) })
	return out, nil
}

type codeReader struct {
	found map[string]*Code
	file  string
	names map[string]string // constants of the folder that hold a code or a hint
}

func (r *codeReader) folder(tree fs.FS, dir string) error {
	names, err := fs.Glob(tree, path.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	files := map[string]*ast.File{}
	r.names = map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files[name] = f
		r.file = name
		for _, decl := range f.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.CONST {
				r.constants(gen)
			}
		}
	}
	for _, name := range names {
		if f := files[name]; f != nil {
			r.file = name
			ast.Inspect(f, func(n ast.Node) bool { r.node(n); return true })
		}
	}
	return nil
}

// constants notes the codes that have a name; the comment on their line says what they mean.
func (r *codeReader) constants(gen *ast.GenDecl) {
	for _, s := range gen.Specs {
		spec := s.(*ast.ValueSpec)
		if len(spec.Values) != 1 {
			continue
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		v, _ := strconv.Unquote(lit.Value)
		r.names[spec.Names[0].Name] = v
		if isCode(v) && spec.Comment != nil {
			r.add(v, strings.TrimSpace(spec.Comment.Text()), "")
		}
	}
}

func isCode(s string) bool {
	m := codeForm.FindStringSubmatch(s)
	return m != nil && areas[m[1]] != ""
}

func (r *codeReader) add(code, says, hint string) {
	c := r.found[code]
	if c == nil {
		c = &Code{Code: code}
		r.found[code] = c
	}
	note := func(list *[]string, s string) {
		if s = strings.TrimSpace(s); strings.Trim(s, "… :,.") != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	note(&c.Says, says)
	note(&c.Hints, hint)
	note(&c.Where, r.file)
}

// node looks at what is made or called with a code: named members, or the texts that follow it.
func (r *codeReader) node(n ast.Node) {
	var list []ast.Expr
	switch x := n.(type) {
	case *ast.CompositeLit:
		list = x.Elts
	case *ast.CallExpr:
		list = x.Args
	case *ast.AssignStmt: // e.Code, e.Msg = "…", "…"
		list = x.Rhs
	case *ast.BasicLit:
		if s, _ := strconv.Unquote(x.Value); x.Kind == token.STRING && isCode(s) {
			r.add(s, "", "")
		}
		return
	default:
		return
	}
	code, says, hint := "", "", ""
	var follow []string
	for _, e := range list {
		key := ""
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok {
				key = id.Name
			}
			e = kv.Value
		}
		text, isText := r.text(e)
		switch {
		case key == "Msg":
			says = text
		case key == "Hint":
			hint = text
		case code == "" && (key == "" && isCode(text) || key == "Code" && codeForm.MatchString(text)) && isText:
			code = text
		case code != "" && key == "" && isText:
			follow = append(follow, text)
		}
	}
	if code == "" {
		return
	}
	if len(follow) > 0 {
		says = follow[0]
	}
	if len(follow) > 1 {
		hint = follow[1]
	}
	r.add(code, says, hint)
}

var verbs = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)

// text is what an expression says, with … for what varies; ok is false when it is no text at all.
func (r *codeReader) text(e ast.Expr) (s string, ok bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		if x.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(x.Value)
		return verbs.ReplaceAllString(strings.ReplaceAll(s, "%%", "%"), "…"), err == nil
	case *ast.Ident:
		s, ok := r.names[x.Name]
		return s, ok
	case *ast.BinaryExpr:
		a, aok := r.text(x.X)
		b, bok := r.text(x.Y)
		if x.Op != token.ADD || !aok && !bok {
			return "", false
		}
		if !aok {
			a = "…"
		}
		if !bok {
			b = "…"
		}
		return a + b, true
	case *ast.CallExpr:
		if sel, ok := x.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" && len(x.Args) > 0 {
			return r.text(x.Args[0])
		}
	}
	return "", false
}

// said are the words of codes whose message is put together where no reader of source finds it.
var said = map[string][2]string{
	"gateway.cancelled": {"The call was cancelled; call …", "the client did so, or ended its session"},
	"gateway.internal":  {"Internal error; call …", "look for the call's id in the log"},
	"gateway.timeout":   {"The call took too long and was ended; call …", "raise limits.callTimeout, or timeout of the source"},
}

// CodesPage writes the reference page of error codes. A code without words is an error.
func CodesPage(codes []Code) ([]byte, error) {
	var b strings.Builder
	b.WriteString(`# Error codes

An error has a code, a message and, where there is one, a way out. Codes are stable: they are never reused for something else.
On the command line the way out follows as ` + "`hint:`" + `; over HTTP all three are in the body; in a JSON-RPC error they are in ` + "`data`" + `.
Where several messages share a code, all are listed; … stands for what varies.

This page is made from the source.
`)
	area := ""
	for _, c := range codes {
		if w, ok := said[c.Code]; ok && len(c.Says) == 0 {
			c.Says, c.Hints = []string{w[0]}, []string{w[1]}
		}
		if len(c.Says) == 0 {
			return nil, fmt.Errorf("%s: code %s has no words: name it as a constant with a comment on its line, or give it a message", c.Where[0], c.Code)
		}
		if a, _, _ := strings.Cut(c.Code, "."); a != area {
			area = a
			fmt.Fprintf(&b, "\n## %s\n\n", area)
			if areas[area] != "" {
				b.WriteString(areas[area] + "\n\n")
			}
			b.WriteString("| code | what it says | way out |\n|---|---|---|\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Code, cells(c.Says), cells(c.Hints))
	}
	return []byte(b.String()), nil
}

func cells(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		s = oneLine.Replace(s)
		out[i] = strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(s)
	}
	return strings.Join(out, "<br>")
}
