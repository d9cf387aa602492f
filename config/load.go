package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse"
	"gatehouse/internal/spelling"
)

// maxFile bounds the configuration file and every file it names.
const maxFile = 1 << 20

// Load reads the file. The error joins a *gatehouse.Error for every fault, in the file's order.
func Load(path string) (*Config, error) {
	c, _, err := Read(path, Instead{})
	return c, err
}

// Instead is what the command line says instead of the file; what is empty is the file's.
type Instead struct{ Listen, Data string }

// Read is Load with some values from elsewhere. It also returns what there is to watch, with an error too: a file that is
// missing may come.
func Read(path string, instead Instead) (*Config, Seen, error) {
	seen := Seen{}
	seen.look(path)
	b, err := readFile(path)
	if err != nil {
		return nil, seen, err
	}
	c, err := parse(path, instead, b, seen)
	return c, seen, err
}

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, &gatehouse.Error{Code: "config.file", Pos: gatehouse.Pos{File: path}, Msg: "cannot be read: " + reason(err), Hint: "name an existing file with --config"}
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, &gatehouse.Error{Code: "config.file", Pos: gatehouse.Pos{File: path}, Msg: "is no regular file of at most 1 MiB", Hint: "name the configuration file itself"}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &gatehouse.Error{Code: "config.file", Pos: gatehouse.Pos{File: path}, Msg: "cannot be read: " + reason(err), Hint: "check its permissions"}
	}
	return b, nil
}

// reason is the system's word without the path, which the place says already.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func parse(path string, instead Instead, b []byte, seen Seen) (*Config, error) {
	d := &decoder{file: path, dir: filepath.Dir(path), seen: seen}
	c := Default()
	c.File = path
	root := d.document(b)
	if root == nil {
		return nil, d.err()
	}
	d.value(root, reflect.ValueOf(c).Elem(), "")
	if root.Kind != yaml.MappingNode {
		return nil, d.err()
	}
	c.Listen = cmp.Or(instead.Listen, c.Listen)
	if instead.Data != "" { // relative to where the command is typed
		abs, err := filepath.Abs(instead.Data)
		if err != nil {
			return nil, fmt.Errorf("find data folder: %w", err)
		}
		c.Data = abs
	}
	d.validate(c, root)
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Default is what an empty file would mean, save that a file must publish a server.
func Default() *Config {
	return &Config{
		Listen: "127.0.0.1:8080", Data: "gatehouse-data", Auth: Auth{Keys: true}, TLS: TLS{Min: "1.2"},
		Audit: Audit{SegmentBytes: 256 << 20}, Limits: DefaultLimits,
	}
}

func defaultSource(l Limits) Source {
	return Source{Era: "auto", Sessions: "principal", Timeout: l.CallTimeout, Concurrency: 128, Grace: 10 * time.Minute}
}

// decoder walks the file's nodes along the structs and collects every fault.
type decoder struct {
	file   string
	dir    string
	faults []*gatehouse.Error
	seen   Seen
	nodes  int
}

// maxMessage bounds what a message repeats of the file.
const maxMessage = 300

func (d *decoder) fault(n *yaml.Node, code, msg, hint string) {
	if len(msg) > maxMessage {
		msg = strings.ToValidUTF8(msg[:maxMessage], "") + "…"
	}
	d.faults = append(d.faults, &gatehouse.Error{Code: code, Pos: d.pos(n), Msg: msg, Hint: hint})
}

func (d *decoder) err() error {
	sort.SliceStable(d.faults, func(i, j int) bool {
		a, b := d.faults[i].Pos, d.faults[j].Pos
		if a.Line != b.Line || a.Col != b.Col {
			return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
		}
		return d.faults[i].Msg < d.faults[j].Msg
	})
	errs := make([]error, len(d.faults))
	for i, f := range d.faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

var (
	secretType   = reflect.TypeFor[gatehouse.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	valueType    = reflect.TypeFor[Value]()
)

// maxNodes bounds the values of the file.
const maxNodes = 50_000

func (d *decoder) value(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		return // said by shape
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // an empty value keeps the default
	}
	switch {
	case v.Type() == secretType:
		d.secret(n, v, key)
	case v.Type() == valueType:
		if b, ok := d.json(n); ok {
			v.SetBytes(b)
		}
	case v.Type() == durationType:
		if s, ok := d.scalar(n, key, "a duration such as 30s or 5m"); ok {
			x, err := time.ParseDuration(s)
			if err != nil || x < 0 {
				d.fault(n, "config.duration", fmt.Sprintf("%s: %q is no duration", key, s), "write it like 500ms, 30s or 5m")
				return
			}
			v.SetInt(int64(x))
		}
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if a, ok := p.Interface().(*Auth); ok {
			a.Keys = true
		}
		d.value(n, p.Elem(), key)
		v.Set(p)
	case v.Kind() == reflect.Struct:
		d.object(n, v, key)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, key)
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fault(n, "config.type", key+": a list is wanted, not "+kind(n), "put - before each entry, or write [a, b]")
			return
		}
		out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, e := range n.Content {
			if s, ok := out.Index(i).Addr().Interface().(*Source); ok {
				*s = Source{Pos: d.pos(e)}
			}
			d.value(e, out.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
		v.Set(out)
	case v.Kind() == reflect.Bool:
		if s, ok := d.scalar(n, key, "true or false"); ok {
			b, err := strconv.ParseBool(s)
			if err != nil || s != "true" && s != "false" {
				d.fault(n, "config.type", fmt.Sprintf("%s: %q is neither true nor false", key, s), "write true or false")
				return
			}
			v.SetBool(b)
		}
	case v.CanInt():
		if s, ok := d.scalar(n, key, "a number"); ok {
			x, err := size(s)
			if err != nil || x < 0 {
				d.fault(n, "config.number", fmt.Sprintf("%s: %q is no whole number", key, s), "write it like 1000, 64KiB or 4MiB")
				return
			}
			v.SetInt(x)
		}
	case v.Kind() == reflect.String:
		if s, ok := d.scalar(n, key, "text"); ok {
			v.SetString(s)
		}
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func size(s string) (int64, error) {
	for suffix, shift := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if t, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(t), 10, 32)
			return n << shift, err
		}
	}
	return strconv.ParseInt(s, 10, 64)
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, "config.type", dot(key)+"a group of keys is wanted, not "+kind(n), "write the keys below it, indented")
		return
	}
	type field struct {
		v      reflect.Value
		choice string
	}
	fields := map[string]field{}
	var names []string
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name := tag.Get("yaml"); name != "-" && name != "" {
			fields[name] = field{v.Field(i), tag.Get("enum")}
			names = append(names, name)
		}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		f, ok := fields[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode: // said by shape
		case k.Tag == "!!merge":
			d.fault(k, "config.alias", "the merge key << is not supported", "write the keys out")
		case !ok:
			hint := "known here: " + strings.Join(names, ", ")
			if near := spelling.Nearest(k.Value, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			} else if home := sectionOf(k.Value); home != "" && home != key {
				hint = fmt.Sprintf("%s belongs below %s", k.Value, home)
			}
			d.fault(k, "config.unknown_key", fmt.Sprintf("unknown key %q", k.Value), hint)
		case seen[k.Value] > 0:
			d.fault(k, "config.duplicate_key", fmt.Sprintf("key %q is here and at line %d", k.Value, seen[k.Value]), "keep one of the two")
		default:
			seen[k.Value] = k.Line
			before := len(d.faults)
			d.value(val, f.v, join(key, k.Value))
			if len(d.faults) == before && f.choice != "" {
				d.choice(val, f.v.String(), f.choice, k.Value)
			}
		}
	}
}

// choice holds a value to the ones that the field's tag enum names.
func (d *decoder) choice(n *yaml.Node, s, enum, key string) {
	known := strings.Split(enum, ",")
	if s == "" || slices.Contains(known, s) {
		return
	}
	hint := "leave it out for its default"
	if near := spelling.Nearest(s, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.fault(n, "config.choice", fmt.Sprintf("%s: %q is none of %s", key, s, strings.Join(known, ", ")), hint)
}

// sectionOf returns the section of the file that has the key, "" when none or several have.
func sectionOf(key string) string {
	found := ""
	root := reflect.TypeFor[Config]()
	for i := range root.NumField() {
		section := root.Field(i)
		if section.Type.Kind() != reflect.Struct || section.Type == secretType {
			continue
		}
		for j := range section.Type.NumField() {
			if section.Type.Field(j).Tag.Get("yaml") == key {
				if found != "" {
					return ""
				}
				found = section.Tag.Get("yaml")
			}
		}
	}
	return found
}

func dot(key string) string {
	if key == "" {
		return ""
	}
	return key + ": "
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, "config.type", key+": a group of names is wanted, not "+kind(n), "write each name with a colon below it")
		return
	}
	out := reflect.MakeMap(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			continue // said by shape
		}
		if seen[k.Value] > 0 {
			d.fault(k, "config.duplicate_key", fmt.Sprintf("name %q is here and at line %d", k.Value, seen[k.Value]), "keep one of the two")
			continue
		}
		seen[k.Value] = k.Line
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(val, e, join(key, k.Value))
		if s, ok := e.Interface().(*Server); ok {
			if s == nil {
				s = &Server{}
				e.Set(reflect.ValueOf(s))
			}
			s.Name, s.Pos = k.Value, d.pos(k)
		}
		out.SetMapIndex(reflect.ValueOf(k.Value), e)
	}
	v.Set(out)
}

func (d *decoder) scalar(n *yaml.Node, key, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, "config.type", fmt.Sprintf("%s: %s is wanted, not %s", key, want, kind(n)), "write it on the line of the key")
		return "", false
	}
	s, _, ok := d.expand(n, n.Value)
	return s, ok
}

func (d *decoder) secret(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, "config.type", key+": text is wanted, not "+kind(n), "write it on the line of the key, as ${env:NAME} or ${file:/path}")
		return
	}
	s, refs, ok := d.expand(n, n.Value)
	if !ok {
		return
	}
	if refs == 0 && s != "" {
		d.fault(n, "config.secret", key+": a secret must not stand in the file", "write ${env:NAME} or ${file:/path}")
		return
	}
	v.Set(reflect.ValueOf(gatehouse.NewSecret(s)))
}

// expand replaces ${env:NAME} and ${file:/path} once; what they hold is not expanded again.
func (d *decoder) expand(n *yaml.Node, s string) (out string, refs int, ok bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), refs, true
		}
		ref, after, closed := strings.Cut(rest, "}")
		source, arg, hasArg := strings.Cut(ref, ":")
		if !closed || !hasArg || arg == "" || source != "env" && source != "file" {
			d.fault(n, "config.reference", fmt.Sprintf("%q is no reference", "${"+ref), "write ${env:NAME} or ${file:/path}")
			return "", refs, false
		}
		refs++
		if source == "env" {
			val, set := os.LookupEnv(arg)
			if !set {
				d.fault(n, "config.env", fmt.Sprintf("environment variable %s is not set", arg), "set it before starting gatehouse")
				return "", refs, false
			}
			b.WriteString(val)
		} else {
			path := d.path(arg)
			d.seen.look(path)
			val, err := readFile(path)
			if err != nil {
				d.fault(n, "config.file", fmt.Sprintf("file %s cannot be read", arg), "check the path and its permissions; it is relative to the configuration file")
				return "", refs, false
			}
			b.WriteString(strings.TrimRight(string(val), "\r\n"))
		}
		s = after
	}
}

// path makes a path of the file absolute to the file's folder.
func (d *decoder) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(d.dir, p)
}
