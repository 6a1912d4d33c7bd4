# make build    makes bin/rustgen
# make install  puts rustgen, its manual pages and its completions under PREFIX (/usr/local)
# make test     runs everything that the machine has the tools for
# make lint     runs the linters of .golangci.yml, and shellcheck
# make lock     writes the locked Rust dependencies of the generated services
# make golden   rewrites the kept services, the generated docs, and the benchmark's copies; read the diff
# make snapshot makes a release in dist/, without publishing it

.PHONY: build install test lint lock golden snapshot

PREFIX ?= /usr/local

build:
	go build -o bin/rustgen ./cmd/rustgen

install:
	sh release/extras.sh dist-extras
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install dist-extras/bin/rustgen $(DESTDIR)$(PREFIX)/bin/
	install -m 644 dist-extras/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 dist-extras/completions/rustgen.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rustgen
	install -m 644 dist-extras/completions/rustgen.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rustgen
	install -m 644 dist-extras/completions/rustgen.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rustgen.fish
	rm -r dist-extras

lint:
	golangci-lint run ./...
	shellcheck -S warning .ci/run release/*.sh templates/lock.sh

snapshot:
	goreleaser release --snapshot --clean --skip=publish,docker

# The proofs of what is around the generator are modules of their own, so that it does not depend on what they need.
# Every test is run: Go would take a result for the same where only a program that the test runs has changed.
modules = . internal/parity internal/ship internal/suites bench/service

test:
	for dir in $(modules); do (cd $$dir && go vet ./... && go test -count 1 -p 1 -timeout 80m ./...) || exit 1; done

lock:
	templates/lock.sh

golden:
	go test ./golden ./internal/docs -short -update
	cd bench/service && go test . -run TestCopiesAreCurrent -update
