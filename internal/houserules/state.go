package houserules

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// state finds package variables that change. Tables are written once, where they are declared; anything that is assigned,
// incremented, emptied or pointed to later, or that is made to change (a lock, a pool, a channel), is state.
func (c *check) state(d *folder) {
	vars := map[string]*ast.ValueSpec{}
	where := map[string]string{}
	for _, f := range d.files {
		if f.test {
			continue
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			embedded := embeds(gen.Doc)
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if name.Name == "_" || embedded || embeds(spec.Doc) {
						continue
					}
					vars[name.Name], where[name.Name] = spec, f.name
					if why := changes(spec, i); why != "" {
						c.variable(d, f.name, name, why)
					}
				}
			}
		}
	}
	for _, f := range d.files {
		if f.test {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			for _, e := range written(n) {
				id := root(e)
				if id != nil && id.Obj == nil && id != e && imported(f, id.Name) {
					c.fault(f.name, c.line(id.Pos()), "let it offer a way to do so, or leave it alone", "writes to a variable of package %s", id.Name)
					continue
				}
				if id == nil || vars[id.Name] == nil || id.Obj != nil && id.Obj.Decl != any(vars[id.Name]) {
					continue // a local of the same name
				}
				c.variable(d, f.name, id, "is written to")
			}
			return true
		})
	}
}

// imported reports whether a name is that of a package.
func imported(f *file, name string) bool {
	return slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool {
		if s.Name != nil {
			return s.Name.Name == name
		}
		return path.Base(strings.Trim(s.Path.Value, `"`)) == name
	})
}

func (c *check) variable(d *folder, file string, name *ast.Ident, why string) {
	if c.rules.State[d.path+"."+name.Name] == "" {
		c.fault(file, c.line(name.Pos()), "keep it in a value that a constructor makes; exceptions stand in State with the reason", "package variable %s %s", name.Name, why)
	}
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(l *ast.Comment) bool { return strings.HasPrefix(l.Text, "//go:embed ") })
}

// changes says why a variable is made to change, or "".
func changes(spec *ast.ValueSpec, i int) string {
	if spec.Type != nil && mutable(spec.Type) {
		return "is made to change"
	}
	if len(spec.Values) == 0 {
		return "has no value yet"
	}
	if i >= len(spec.Values) {
		return ""
	}
	switch v := spec.Values[i].(type) {
	case *ast.CompositeLit:
		if v.Type != nil && mutable(v.Type) {
			return "is made to change"
		}
	case *ast.UnaryExpr:
		if lit, ok := v.X.(*ast.CompositeLit); ok && v.Op == token.AND && lit.Type != nil && mutable(lit.Type) {
			return "is made to change"
		}
	case *ast.CallExpr:
		if fn, ok := v.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
			return "is made to change"
		}
	}
	return ""
}

// mutable reports whether a type is one of locks, counters, pools, buffers and channels.
func mutable(t ast.Expr) bool {
	found := false
	ast.Inspect(t, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.ChanType:
			found = true
		case *ast.SelectorExpr:
			if pkg, ok := x.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic" || pkg.Name == "bytes" && x.Sel.Name == "Buffer") {
				found = true
			}
		case *ast.FuncType:
			return false
		}
		return !found
	})
	return found
}

// written returns the expressions that a statement changes, or lets others change.
func written(n ast.Node) []ast.Expr {
	switch s := n.(type) {
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			return s.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{s.X}
	case *ast.RangeStmt:
		if s.Tok == token.ASSIGN {
			return []ast.Expr{s.Key, s.Value}
		}
	case *ast.UnaryExpr:
		if s.Op == token.AND {
			return []ast.Expr{s.X}
		}
	case *ast.CallExpr:
		if fn, ok := s.Fun.(*ast.Ident); ok && fn.Obj == nil && len(s.Args) > 0 && (fn.Name == "delete" || fn.Name == "clear" || fn.Name == "copy") {
			return s.Args[:1]
		}
	}
	return nil
}

// root is the variable that x.f, x[i] and *x belong to.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
