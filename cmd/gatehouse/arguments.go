package main

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/internal/spelling"
	"gatehouse/wire"
)

const codeArg = "call.arg" // an argument does not fit the tool's schema

// typed makes the arguments object: values take the type that the tool's schema gives them.
func typed(tool *gatehouse.Tool, pairs names) ([]byte, error) {
	o, _ := wire.ParseObject(tool.Def)
	schema, _ := wire.ParseObject(o.Get("inputSchema"))
	props, _ := wire.ParseObject(schema.Get("properties"))
	var known []string
	for _, p := range props {
		known = append(known, p.Name)
	}
	bad := func(msg, hint string) error {
		return &gatehouse.Error{Code: codeArg, Msg: tool.Name + ": " + msg, Hint: hint}
	}
	out := wire.Object{}
	for _, p := range pairs {
		name, value, found := strings.Cut(p, "=")
		if !found {
			return nil, bad("--arg "+quote(p)+" has no value", "write --arg name=value")
		}
		if near := spelling.Nearest(name, known); near != "" && !slices.Contains(known, name) {
			return nil, bad("there is no argument "+quote(name), "did you mean "+near+"?")
		}
		if out.Has(name) {
			return nil, bad("argument "+quote(name)+" is given twice", "write a list as --arg name='[1,2]'")
		}
		prop, _ := wire.ParseObject(props.Get(name))
		raw, kinds := argument(prop, value)
		if raw == nil {
			return nil, bad(fmt.Sprintf("--arg %s: %s is no %s", name, quote(value), strings.Join(kinds, " or ")), "the tool's schema wants JSON of that type")
		}
		out = append(out, wire.Member{Name: name, Value: raw})
	}
	required, _ := wire.Elements(schema.Get("required"))
	var missing []string
	for _, r := range required {
		if name, _ := wire.Text(r); name != "" && !out.Has(name) {
			missing = append(missing, "--arg "+name+"=…")
		}
	}
	if len(missing) > 0 {
		return nil, bad("an argument is missing", "add "+strings.Join(missing, " "))
	}
	return out.Bytes(), nil
}

// argument writes a value as JSON of one of the types that its schema allows; nil when it fits none.
func argument(schema wire.Object, value string) (raw []byte, kinds []string) {
	if k, single := wire.Text(schema.Get("type")); single {
		kinds = []string{k}
	} else {
		list, _ := wire.Elements(schema.Get("type"))
		for _, e := range list {
			k, _ := wire.Text(e)
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 || slices.Contains(kinds, "string") && len(kinds) == 1 {
		return wire.String(value), kinds
	}
	if wire.Verify([]byte(value), wire.RequestLimits) == nil && slices.Contains(kinds, kindOf(value)) || slices.Contains(kinds, "number") && kindOf(value) == "integer" {
		return []byte(value), kinds
	}
	if slices.Contains(kinds, "string") {
		return wire.String(value), kinds
	}
	return nil, kinds
}

// kindOf names the type of valid JSON as schemas do.
func kindOf(value string) string {
	switch v := strings.TrimSpace(value); {
	case v == "":
		return ""
	case v[0] == '{':
		return "object"
	case v[0] == '[':
		return "array"
	case v[0] == '"':
		return "string"
	case v == "true", v == "false":
		return "boolean"
	case v == "null":
		return "null"
	case strings.ContainsAny(v, ".eE"):
		return "number"
	case strings.Trim(v, "-0123456789") == "":
		return "integer"
	}
	return ""
}
