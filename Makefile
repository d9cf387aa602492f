# Shortcuts; none is needed.
.PHONY: build test bench ci
build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o gatehouse ./cmd/gatehouse
test:
	go test ./...
bench:
	go test -run '^$$' -bench . ./...
ci:
	.ci/run
