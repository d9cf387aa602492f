// Package openapi turns documents of OpenAPI 3.0, 3.1, 3.2 and Swagger 2.0 into operations, and each operation into a
// plan: the schema of its arguments and the HTTP request that OpenAPI prescribes for them. It judges per operation: one
// that cannot be used is left out with a reason and takes none of its neighbours along. It does no input or output of
// its own, and reads a document lazily as bytes, so that one with 20,000 operations costs little more than its file.
package openapi

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"gatehouse"
	"gatehouse/wire"
)

// Options says how a document is read. The zero value refuses references to other files.
type Options struct {
	// Read returns another file or URL that a $ref names, resolved against the place of the document it stands in.
	// Nil refuses all.
	Read func(place string) ([]byte, error)
	// Variables are values of server variables, by name; the others have their defaults.
	Variables map[string]string
	// Inline writes references in schemas out this deep instead of keeping them under $defs; 0 keeps them.
	Inline int
	// MaxSchema bounds the input schema of one operation in bytes: deep parts of a larger one accept any value.
	// Default 32 KiB. An output schema gets a quarter of it.
	MaxSchema int
}

// Codes of the *gatehouse.Error values of this package.
const (
	CodeDocument  = "openapi.document"  // the file is no OpenAPI document
	CodeRevision  = "openapi.revision"  // a revision of OpenAPI that is not known
	CodeSyntax    = "openapi.syntax"    // neither JSON nor YAML
	CodeSize      = "openapi.size"      // the document is too large
	CodeOperation = "openapi.operation" // an operation cannot be called, and the message says why
	CodeArgument  = "openapi.argument"  // an argument cannot be sent as the operation needs it
)

// Bounds of a document.
const (
	maxDocument   = 256 << 20
	maxFiles      = 500
	maxOperations = 100_000
	maxParams     = 2000 // of one operation
)

// Doc is one document, read. It is safe for concurrent use.
type Doc struct {
	Title, Version, Description string
	Revision                    string       // "2.0", "3.0", "3.1" or "3.2"
	Operations                  []*Operation // in the document's order
	Skipped                     []Skipped
	Warnings                    []string

	opt      Options
	root     *file
	top      wire.Object    // members of the root
	mu       sync.Mutex     // guards what follows
	defs     map[defKey]def // converted schemas
	defBytes int
	circles  map[loopKey]bool
	files    map[string]*file
}

// Operation is one operation of a document: what is known of it without looking closely.
type Operation struct {
	ID, Method, Path     string // as written; Method in upper case
	Tags                 []string
	Name                 string // tool name: ^[A-Za-z0-9_-]{1,64}$, unique in the document
	Summary, Description string
	Deprecated           bool

	item, op node
}

// Skipped is an operation that is left out, and why.
type Skipped struct{ Method, Path, ID, Reason string }

// Parse reads a document, in JSON or YAML. place is its file or URL, for messages and for relative references. The error
// is a *gatehouse.Error, and means that nothing in the document can be used.
func Parse(place string, b []byte, opt Options) (*Doc, error) {
	if opt.MaxSchema <= 0 {
		opt.MaxSchema = 32 << 10
	}
	d := &Doc{opt: opt, files: map[string]*file{}}
	f, err := newFile(place, b)
	if err != nil {
		return nil, err
	}
	d.root, d.files[place] = f, f
	root, ok := wire.ParseObject(f.raw)
	if d.top = root; !ok {
		return nil, fault(place, CodeDocument, "is no OpenAPI document: it holds no object", "name a file with a description in OpenAPI 3.x or Swagger 2.0")
	}
	if d.Revision, err = revision(place, root); err != nil {
		return nil, err
	}
	info, _ := wire.ParseObject(root.Get("info"))
	d.Title, d.Version, d.Description = text(info, "title"), text(info, "version"), text(info, "description")
	paths, _ := wire.ParseObject(root.Get("paths"))
	for _, m := range paths {
		if strings.HasPrefix(m.Name, "x-") {
			continue
		}
		d.pathItem(m.Name, node{f, m.Value})
		if len(d.Operations) > maxOperations {
			return nil, fault(place, CodeSize, fmt.Sprintf("has more than %d operations", maxOperations), "split it, or include fewer")
		}
	}
	if len(d.Operations)+len(d.Skipped) == 0 {
		d.warn("the document has no operations under paths")
	}
	names(d.Operations)
	return d, nil
}

func fault(place, code, msg, hint string) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Pos: gatehouse.Pos{File: place}, Msg: msg, Hint: hint}
}

func revision(place string, root wire.Object) (string, error) {
	v, isText := wire.Text(root.Get("openapi"))
	if !isText {
		v = string(root.Get("openapi")) // 3.0 written as a number
	}
	for _, r := range []string{"3.0", "3.1", "3.2"} {
		if v == r || strings.HasPrefix(v, r+".") {
			return r, nil
		}
	}
	if s, isText := wire.Text(root.Get("swagger")); isText && s == "2.0" || string(root.Get("swagger")) == "2.0" {
		return "2.0", nil
	}
	if v != "" {
		return "", fault(place, CodeRevision, fmt.Sprintf("is OpenAPI %.20s, which is not known", v), "convert it to 3.0, 3.1 or 3.2")
	}
	return "", fault(place, CodeDocument, `is no OpenAPI document: it has neither "openapi" nor "swagger"`, "name a file with a description in OpenAPI 3.x or Swagger 2.0")
}

func (d *Doc) warn(format string, a ...any) {
	if len(d.Warnings) < 100 {
		d.Warnings = append(d.Warnings, fmt.Sprintf(format, a...))
	}
}

// Files are the places of everything that has been read so far, for watching.
func (d *Doc) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]string, 0, len(d.files))
	for p := range d.files {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Fixed fields of a path item that are operations (OpenAPI 3.2, "Path Item Object").
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

// notMethods are its other fixed fields.
var notMethods = []string{"$ref", "summary", "description", "servers", "parameters", "additionalOperations"}

func (d *Doc) pathItem(path string, n node) {
	item, err := d.deref(n)
	if err == nil && !wire.IsObject(item.raw) {
		err = fmt.Errorf("the path is no object")
	}
	if err != nil {
		d.Skipped = append(d.Skipped, Skipped{Path: path, Reason: err.Error()})
		return
	}
	o, _ := wire.ParseObject(item.raw)
	for _, m := range o {
		switch {
		case slices.Contains(methods, m.Name):
			d.operation(strings.ToUpper(m.Name), path, item, node{item.f, m.Value})
		case m.Name == "additionalOperations":
			more, _ := wire.ParseObject(m.Value)
			for _, a := range more {
				d.operation(a.Name, path, item, node{item.f, a.Value})
			}
		case slices.Contains(notMethods, m.Name) || strings.HasPrefix(m.Name, "x-"):
		default:
			d.Skipped = append(d.Skipped, Skipped{Method: strings.ToUpper(m.Name), Path: path, Reason: fmt.Sprintf("%q is no method that a path can have", m.Name)})
		}
	}
}

func (d *Doc) operation(method, path string, item, op node) {
	o, ok := wire.ParseObject(op.raw)
	skip := func(reason string) {
		d.Skipped = append(d.Skipped, Skipped{Method: method, Path: path, ID: text(o, "operationId"), Reason: reason})
	}
	switch {
	case !ok:
		skip("the operation is no object")
		return
	case method == "TRACE" || method == "CONNECT":
		skip("the method " + method + " is never sent: it can show credentials or opens a tunnel")
		return
	case !isToken(method) || len(method) > 32:
		skip("its method is no HTTP method")
		return
	}
	x := &Operation{
		ID: text(o, "operationId"), Method: method, Path: path, Summary: text(o, "summary"), Description: text(o, "description"),
		Deprecated: string(o.Get("deprecated")) == "true", item: item, op: op,
	}
	tags, _ := wire.Elements(o.Get("tags"))
	for _, t := range tags {
		if s, ok := wire.Text(t); ok {
			x.Tags = append(x.Tags, s)
		}
	}
	d.Operations = append(d.Operations, x)
}

// text is a member that is a string, else "".
func text(o wire.Object, name string) string {
	s, _ := wire.Text(o.Get(name))
	return s
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
