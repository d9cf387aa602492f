package jsonschema

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/wire"
)

func TestConform(t *testing.T) {
	const loose = `{"type":["object","null"],"properties":{
	 "id":{"type":["integer","null"]},
	 "state":{"enum":["on","off",null]},
	 "tags":{"type":["array","null"],"items":{"type":["string","null"],"maxLength":3}},
	 "owner":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/Owner"}]},
	 "closed":{"type":["object","null"],"properties":{"a":{"type":["string","null"]}},"additionalProperties":false},
	 "names":{"type":["object","null"],"propertyNames":{"maxLength":2}},
	 "two":{"type":["array","null"],"minItems":2}},
	 "$defs":{"Owner":{"type":"object","properties":{"name":{"type":["string","null"]},"boss":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/Owner"}]}}}}}`
	const strict = `{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},"parts":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}}}},"maybe":{"type":["object","null"],"properties":{"x":{"type":"string"}}}}}`
	for _, c := range []struct {
		schema, in, out string
		changed         []string
	}{
		{loose, `{"id":1,"extra":{"as":"it is"}}`, `{"id":1,"extra":{"as":"it is"}}`, nil},
		{loose, `{"id":"1", "state" : "ON" ,"n":1e400}`, `{"id":null, "state" : null ,"n":1e400}`, []string{"id", "state"}},
		{loose, `{"tags":["a","long",7]}`, `{"tags":["a",null,null]}`, []string{"tags[1]", "tags[2]"}},
		{loose, `{"tags":{"a":1}}`, `{"tags":null}`, []string{"tags"}},
		{loose, `{"owner":{"name":5,"boss":{"name":"b","boss":{"name":6}}}}`, `{"owner":{"name":null,"boss":{"name":"b","boss":{"name":null}}}}`, []string{"owner.name", "owner.boss.boss.name"}},
		{loose, `{"owner":7}`, `{"owner":null}`, []string{"owner"}},
		{loose, `{"closed":{"x":1,"a":"y","z":2}}`, `{"closed":{"a":"y"}}`, []string{"closed.x", "closed.z"}},
		{loose, `{"closed":{"a":"y", "z":2, "x":{}}}`, `{"closed":{"a":"y"}}`, []string{"closed.z", "closed.x"}},
		{loose, `{"closed":{"x":2}}`, `{"closed":{}}`, []string{"closed.x"}},
		{loose, `{"closed":{"a":1,"x":[{"y":1}]}}`, `{"closed":{"a":null}}`, []string{"closed.a", "closed.x"}},
		{loose, `{"names":{"ab":1,"abc":2}}`, `{"names":{"ab":1}}`, []string{"names.abc"}},
		{loose, `{"two":[1]}`, `{"two":null}`, []string{"two"}},
		{loose, `[1]`, ``, nil},
		{loose, `"x"`, ``, nil},
		{loose, `null`, `null`, nil},
		{strict, `{"id":1,"parts":[{"n":1}]}`, `{"id":1,"parts":[{"n":1}]}`, nil},
		{strict, `{"id":1,"maybe":{"x":1}}`, `{"id":1,"maybe":null}`, []string{"maybe.x", "maybe"}},
		{strict, `{"id":"x"}`, ``, []string{"id"}},
		{strict, `{}`, ``, nil},
		{strict, `{"id":1,"parts":[{"n":"x"}]}`, ``, []string{"parts[0].n", "parts[0]", "parts"}},
	} {
		s, err := Compile([]byte(c.schema), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out, changed, err := s.Conform([]byte(c.in))
		if err != nil || string(out) != c.out || (out == nil) != (c.out == "") || !slices.Equal(changed, c.changed) {
			t.Errorf("Conform(%s) = %s, %q, %v; want %s, %q", c.in, out, changed, err, c.out, c.changed)
		}
	}
}

func TestConformBounds(t *testing.T) {
	s, err := Compile([]byte(`{"items":{"type":["string","null"]}}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := []byte("[" + strings.Repeat("1,", 19_999) + "1]")
	out, changed, err := s.Conform(in)
	if err != nil || len(changed) != maxChanged || strings.Count(string(out), "null") != 20_000 || wire.Verify(out, wire.ResultLimits) != nil {
		t.Errorf("Conform of 20,000 wrong items: %d places, %d nulls, %v", len(changed), strings.Count(string(out), "null"), err)
	}
	_, _, err = s.Conform([]byte("[" + strings.Repeat("1,", 100_000) + "1]"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "jsonschema.fuel" {
		t.Errorf("Conform of 100,000 items: %v, want jsonschema.fuel", err)
	}
}
