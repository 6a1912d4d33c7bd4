# make test   runs everything that the machine has the tools for
# make golden rewrites the kept services and the generated docs; read the diff

.PHONY: build test golden

build:
	go build -o bin/rustgen ./cmd/rustgen

test:
	go vet ./...
	go test -p 1 -timeout 80m ./...
	cd internal/ship && go vet ./... && go test -p 1 -timeout 80m ./...

golden:
	go test ./golden ./internal/cli -short -update
