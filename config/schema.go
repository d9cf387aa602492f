package config

import _ "embed" // the schema

//go:embed config.schema.json
var schema []byte

// Schema is the JSON Schema of the file, for editors. It is made from the structs by internal/docgen.
func Schema() []byte { return append([]byte(nil), schema...) }
