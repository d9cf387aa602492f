// Package builtin is the tables of everything this binary contains. Adding a backend or a store is one line here.
package builtin

import (
	"gatehouse/backend"
	"gatehouse/backend/rest"
	"gatehouse/backend/upstream"
)

// Backends are the kinds of source, by their key in the configuration.
var Backends = []backend.Kind{
	upstream.HTTP,
	upstream.Command,
	rest.OpenAPI,
}
