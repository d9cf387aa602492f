// Package houserules holds the tree to its own rules: which way imports point, what a package may do beside its work, how
// large a file grows. It reads the files as they are, so it needs no build and sees every platform's files.
package houserules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxLines is where a file is asked whether it holds two nouns.
const maxLines = 600

// Rules is what a tree is held to. In patterns a * stands for one folder's name, and ... for any folders.
type Rules struct {
	Module    string            // module path, as imports begin
	Packages  []Package         // every folder with Go files has a row
	Libraries map[string]string // import path of a module outside, or its start → packages that may import it; tests under Tests
	Tests     map[string]string // the same for what only tests import
	Spawns    map[string]string // package → why it may use os/exec
	Dials     map[string]string // package → why it may connect without egress
	State     map[string]string // package.name of a variable → why it may change
	Long      map[string]string // file → why it may be long
}

// Package is one row: a folder, and the packages of the module that its files import, tests aside.
type Package struct{ Folder, Imports string }

// Fault is one broken rule.
type Fault struct {
	File string
	Line int // 0 when the fault is in the whole file or folder
	Msg  string
	Hint string
}

func (f Fault) String() string {
	at := f.File
	if f.Line > 0 {
		at += ":" + strconv.Itoa(f.Line)
	}
	return at + ": " + f.Msg + "\nhint: " + f.Hint
}

// Check reads the tree and returns every fault, in the order of the files.
func Check(tree fs.FS, r Rules) ([]Fault, error) {
	c := &check{rules: r, fset: token.NewFileSet(), folders: map[string]*folder{}}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := e.Name()
		if e.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return c.read(name, src)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(mapKeys(c.folders)) {
		c.folder(c.folders[name])
	}
	c.table()
	slices.SortStableFunc(c.faults, func(a, b Fault) int {
		if n := strings.Compare(a.File, b.File); n != 0 {
			return n
		}
		return a.Line - b.Line
	})
	return c.faults, nil
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

type check struct {
	rules   Rules
	fset    *token.FileSet
	folders map[string]*folder
	faults  []Fault
}

// folder is one package: its files, without those of an external test package.
type folder struct {
	path  string
	files []*file
}

type file struct {
	name string
	test bool
	*ast.File
}

func (c *check) fault(file string, line int, hint, format string, args ...any) {
	c.faults = append(c.faults, Fault{file, line, fmt.Sprintf(format, args...), hint})
}

func (c *check) line(p token.Pos) int { return c.fset.Position(p).Line }

func (c *check) read(name string, src []byte) error {
	// Names are resolved within a file: what is left unresolved belongs to the package.
	tree, err := parser.ParseFile(c.fset, name, src, parser.ParseComments)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if c.folders[dir] == nil {
		c.folders[dir] = &folder{path: dir}
	}
	f := &file{name, strings.HasSuffix(name, "_test.go"), tree}
	c.folders[dir].files = append(c.folders[dir].files, f)
	if n := strings.Count(string(src), "\n"); n > maxLines && c.rules.Long[name] == "" {
		c.fault(name, 0, "does it hold two nouns? split it", "%d lines, more than %d", n, maxLines)
	}
	return nil
}

// folder checks one package.
func (c *check) folder(d *folder) {
	if base := path.Base(d.path); slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "models", "manager", "misc"}, base) {
		c.fault(d.path, 0, "name it for the noun it defines", "a package is not named %s", base)
	}
	row, known := c.row(d.path)
	if !known {
		c.fault(d.path, 0, "add one to Packages in internal/houserules/rules.go, with the packages it imports", "the package has no row")
	}
	var docs []*file
	code := 0
	for _, f := range d.files {
		c.imports(d, f, row, known)
		if f.test {
			continue
		}
		code++
		if f.Doc != nil {
			docs = append(docs, f)
		}
		c.inits(f)
		c.connects(d, f)
	}
	if code > 0 {
		c.comment(d, docs)
	}
	c.state(d)
}

func (c *check) comment(d *folder, docs []*file) {
	if len(docs) == 0 {
		c.fault(d.path, 0, "say in one file what the package is for and what it promises", "the package has no comment")
		return
	}
	for _, f := range docs[1:] {
		c.fault(f.name, c.line(f.Package), "keep one", "the package has a second comment; the first is in %s", docs[0].name)
	}
	f := docs[0]
	start := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		start = "Command " + path.Base(d.path) + " "
	}
	if !strings.HasPrefix(f.Doc.Text(), start) {
		c.fault(f.name, c.line(f.Package), "begin it with \""+start+"\"", "the package comment begins another way")
	}
}

// row finds the row of a folder; an exact one wins over a pattern.
func (c *check) row(dir string) (Package, bool) {
	var found Package
	ok := false
	for _, p := range c.rules.Packages {
		if p.Folder == dir {
			return p, true
		}
		if among(p.Folder, dir) {
			found, ok = p, true
		}
	}
	return found, ok
}

// among reports whether one of the patterns, parted by blanks, names the folder.
func among(patterns, dir string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		match, _ := path.Match(p, dir)
		return match || p == "..." || strings.HasSuffix(p, "/...") && strings.HasPrefix(dir+"/", p[:len(p)-3])
	})
}

func (c *check) imports(d *folder, f *file, row Package, known bool) {
	for _, spec := range f.Imports {
		line := c.line(spec.Pos())
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		inside := name == c.rules.Module || strings.HasPrefix(name, c.rules.Module+"/")
		first, _, _ := strings.Cut(name, "/")
		switch {
		case name == "os/exec":
			if !f.test && !outside(d) && c.rules.Spawns[d.path] == "" {
				c.fault(f.name, line, "spawning has few places, named in Spawns with the reason", "%s must not start programs", d.path)
			}
		case inside && f.test || inside && !known:
		case inside:
			want := strings.TrimPrefix(strings.TrimPrefix(name, c.rules.Module), "/")
			if want == "" {
				want = "."
			}
			if !among(row.Imports, want) {
				c.fault(f.name, line, "imports point down; take what is needed through a contract, or change the row on purpose", "%s must not import %s", d.path, want)
			}
		case strings.Contains(first, "."):
			c.library(d, f, name, line)
		}
	}
}

// library checks an import from another module.
func (c *check) library(d *folder, f *file, name string, line int) {
	find := func(table map[string]string) (string, bool) {
		best, users, ok := -1, "", false
		for lib, list := range table {
			if (name == lib || strings.HasPrefix(name, lib+"/")) && len(lib) > best {
				best, users, ok = len(lib), list, true
			}
		}
		return users, ok
	}
	users, known := find(c.rules.Libraries)
	if f.test || outside(d) {
		if list, also := find(c.rules.Tests); also {
			users, known = users+" "+list, true
		}
	}
	switch {
	case !known:
		c.fault(f.name, line, "standard library first; a new module needs a row in Libraries or Tests and a line in docs/adr", "no row allows %s", name)
	case !among(users, d.path):
		c.fault(f.name, line, "its types stay out of contracts; it is used in: "+strings.TrimSpace(users), "%s must not import %s", d.path, name)
	}
}

func (c *check) inits(f *file) {
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			c.fault(f.name, c.line(fn.Pos()), "let a constructor do it, or a table in builtin", "init runs behind everybody's back")
		}
	}
}

// connects finds ways out of the process that do not go through egress.
func (c *check) connects(d *folder, f *file) {
	if outside(d) || c.rules.Dials[d.path] != "" {
		return
	}
	bad := map[string][]string{
		"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Dialer"},
		"net/http":   {"Transport", "DefaultTransport", "DefaultClient", "Client", "Get", "Post", "PostForm", "Head"},
		"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	}
	names := map[string][]string{} // local name of the import → what may not be used
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil || bad[name] == nil {
			continue
		}
		local := path.Base(name)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = bad[name]
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && slices.Contains(names[x.Name], sel.Sel.Name) {
			c.fault(f.name, c.line(sel.Pos()), "every outgoing byte leaves through egress", "%s must not use %s.%s", d.path, x.Name, sel.Sel.Name)
		}
		return true
	})
}

// outside reports whether a package belongs to the tests of the whole, which drive the binary from outside.
func outside(d *folder) bool { return strings.HasPrefix(d.path, "test/") }

// table finds rows that say nothing about the tree any more, and implementations that import a sibling.
func (c *check) table() {
	dirs := slices.Sorted(mapKeys(c.folders))
	for _, p := range c.rules.Packages {
		if !slices.ContainsFunc(dirs, func(d string) bool { return among(p.Folder, d) }) && !strings.HasSuffix(p.Folder, "*") && !strings.HasSuffix(p.Folder, "...") {
			c.fault(p.Folder, 0, "remove it from Packages", "the row has no package")
		}
		parent := path.Dir(p.Folder)
		if parent == "." || parent == "internal" || parent == "cmd" || parent == "test" {
			continue
		}
		for _, imp := range strings.Fields(p.Imports) {
			if path.Dir(imp) == parent {
				c.fault(p.Folder, 0, "let both import their parent", "an implementation must not import its sibling %s", imp)
			}
		}
	}
	for _, t := range []struct {
		name string
		rows map[string]string
	}{{"Spawns", c.rules.Spawns}, {"Dials", c.rules.Dials}} {
		for _, dir := range slices.Sorted(mapKeys(t.rows)) {
			if c.folders[dir] == nil {
				c.fault(dir, 0, "remove it from "+t.name, "the exception has no package")
			}
		}
	}
}
