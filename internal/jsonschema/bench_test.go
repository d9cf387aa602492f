package jsonschema

import (
	"strconv"
	"strings"
	"testing"
)

// orderSchema is of the kind that an import of a REST operation makes.
const orderSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
"required":["customer","items","currency"],
"properties":{
 "customer":{"$ref":"#/$defs/Customer"},
 "currency":{"type":"string","enum":["EUR","USD","GBP","CHF"]},
 "reference":{"type":["string","null"],"maxLength":40},
 "priority":{"type":"integer","minimum":0,"maximum":9},
 "express":{"type":"boolean"},
 "notes":{"type":"string","maxLength":2000},
 "tags":{"type":"array","maxItems":20,"uniqueItems":true,"items":{"type":"string","minLength":1}},
 "items":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/Item"}},
 "payment":{"oneOf":[{"$ref":"#/$defs/Card"},{"$ref":"#/$defs/Invoice"}]}},
"$defs":{
 "Customer":{"type":"object","required":["id","email"],"properties":{"id":{"type":"integer"},"email":{"type":"string","format":"email","maxLength":254},"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9A-Z -]{3,10}$"},"country":{"type":"string","minLength":2,"maxLength":2}}}}},
 "Item":{"type":"object","additionalProperties":false,"required":["sku","quantity"],"properties":{"sku":{"type":"string","maxLength":30},"quantity":{"type":"integer","minimum":1,"maximum":10000},"price":{"type":"number","minimum":0,"multipleOf":0.01,"description":"price of one, before tax"}}},
 "Card":{"type":"object","required":["kind","token"],"properties":{"kind":{"const":"card"},"token":{"type":"string"}}},
 "Invoice":{"type":"object","required":["kind","due"],"properties":{"kind":{"const":"invoice"},"due":{"type":"string","format":"date"}}}}}`

const order = `{"customer":{"id":9007199254740993,"email":"ada@example.org","address":{"street":"12 Analytical Row","city":"London","zip":"W1 4AA","country":"GB"}},
"currency":"GBP","reference":"PO-2026-000417","priority":3,"express":true,"tags":["gift","fragile","weekend"],
"notes":"Please ring twice; the door at the back is the one that is used on weekends. NOTES",
"items":[{"sku":"ENG-001","quantity":2,"price":149.99},{"sku":"ENG-002","quantity":1,"price":20},{"sku":"CARD-7","quantity":52,"price":0.05},{"sku":"GEAR-12","quantity":12,"price":3.5}],
"payment":{"kind":"invoice","due":"2026-12-24"}}`

// longOrder is an order of about 1 KB, as it comes off the wire: without spaces.
func longOrder() []byte {
	s := strings.ReplaceAll(order, ",\n", ",")
	return []byte(strings.ReplaceAll(s, "NOTES", strings.Repeat("It is a long walk. ", (1024-len(s))/19)))
}

func BenchmarkValidate(b *testing.B) {
	s, err := Compile([]byte(orderSchema), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	in := longOrder()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if fails, err := s.Validate(in); err != nil || fails != nil {
			b.Fatal(fails, err)
		}
	}
}

func BenchmarkValidateFailing(b *testing.B) {
	s, _ := Compile([]byte(orderSchema), Limits{})
	in := []byte(strings.Replace(string(longOrder()), `"price":20`, `"prize":20`, 1))
	b.ReportAllocs()
	for b.Loop() {
		if fails, err := s.Validate(in); err != nil || len(fails) != 1 {
			b.Fatal(fails, err)
		}
	}
}

func BenchmarkValidateRows(b *testing.B) {
	s, _ := Compile([]byte(`{"type":"array","items":{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}}}}`), Limits{Fuel: 1 << 20})
	in := []byte("[")
	for i := range 1000 {
		in = append(in, `{"id":`+strconv.Itoa(i)+`,"name":"row `+strconv.Itoa(i)+`"},`...)
	}
	in[len(in)-1] = ']'
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if out, changed, err := s.Conform(in); err != nil || changed != nil || len(out) != len(in) {
			b.Fatal(changed, err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.SetBytes(int64(len(orderSchema)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile([]byte(orderSchema), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
