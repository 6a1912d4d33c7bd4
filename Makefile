# make test   runs everything that the machine has the tools for
# make lock   writes the locked Rust dependencies of the generated services
# make golden rewrites the kept services and the generated docs; read the diff

.PHONY: build test lock golden

build:
	go build -o bin/rustgen ./cmd/rustgen

# The proofs of what is around the generator are modules of their own, so that it does not depend on what they need.
# Every test is run: Go would take a result for the same where only a program that the test runs has changed.
modules = . internal/parity internal/ship bench/service

test:
	for dir in $(modules); do (cd $$dir && go vet ./... && go test -count 1 -p 1 -timeout 80m ./...) || exit 1; done

lock:
	templates/lock.sh

golden:
	go test ./golden ./internal/docs -short -update
