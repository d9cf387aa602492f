package main

// The mapping as this program sees it: what it needs of backend/rest/openapi and no more.
type (
	mapping struct {
		parse func(place string, b []byte, read func(string) ([]byte, error)) (*parsed, error)
	}
	parsed struct {
		operations []operation
		skipped    map[string]string // method and path → reason
		plan       func(i int) (*plan, error)
	}
	operation struct{ id, method, path, name string }
	plan      struct {
		input, output []byte
		args          []argument
		base          string
		security      [][]string
		request       func(args []byte) (*request, error)
	}
	argument struct {
		path     []string
		in, name string
		binary   bool
	}
	request struct {
		method, path string
		header       [][2]string
		body         []byte
	}
)
