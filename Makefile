# Run "make" for the list of targets. Nothing is needed but Go, git and make; npm for the page.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 20s
BENCH    ?= .

# Each of these has its own module graph, apart from tools.mod: together, their many modules
# would run the linter with versions that nobody tested it with. Go checks them against the
# checksum database like everything else.
KO         := go run github.com/google/ko@v0.19.1
HELM       := go run helm.sh/helm/v4/cmd/helm@v4.3.1
GORELEASER := go run github.com/goreleaser/goreleaser/v2@v2.16.0
KUSTOMIZE  := go tool -modfile=tools.mod kustomize

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z.%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## ./vstream, for this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o vstream ./cmd/vstream

PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: buildall
buildall: ## dist/: binaries for Linux, macOS and Windows, amd64 and arm64
	@mkdir -p dist
	for platform in $(PLATFORMS); do
		os=$${platform%/*} arch=$${platform#*/} end=
		if [[ $$os == windows ]]; then end=.exe; fi
		echo "dist/vstream-$$os-$$arch$$end"
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-X main.version=$(VERSION)' -o "dist/vstream-$$os-$$arch$$end" ./cmd/vstream
	done

.PHONY: test
test: ## all tests, as fast as they go
	go test ./...

.PHONY: check
check: ## what a change must pass, without the slow parts of ci: lint, vet, race
	.ci/run format vet lint race

.PHONY: lint
lint: ## the linters of .golangci.yml
	.ci/run lint

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

SOAK ?= 30m

.PHONY: soak
soak: ## a server with 500 watchers, faults and restarts for SOAK (30m), and two rests; writes bench/SOAK.md
	go test -run '^TestSoak$$' -timeout 0 -v ./cmd/vstream -args -soak $(SOAK) -soak-report '$(CURDIR)/bench/SOAK.md'

STORM ?= 1h

.PHONY: storm
storm: ## a collector in a storm of faults for STORM (1h): nothing lost, nothing doubled
	go test -race -run '^TestStorm$$' -timeout 0 -v ./internal/collector -args -storm $(STORM)

CHAOS ?= 10m

.PHONY: chaos
chaos: ## a cluster whose parts are killed and cut off for CHAOS (10m): nothing lost, and the delays
	go test -run '^TestNothingIsLostOrDoubledInAClusterInTrouble$$' -timeout 0 -v ./cmd/vstream -args -chaos $(CHAOS)

.PHONY: bench
bench: ## measure what is claimed, beside its peers: ten minutes; writes bench/RESULTS.md
	go run ./bench

PROFILES ?= $(or $(TMPDIR),/tmp)/vstream-profiles

.PHONY: profiles
profiles: ## where the time goes: the tables of docs/performance.md; profiles in PROFILES
	go run ./bench --cpuprofile '$(PROFILES)' --profiles docs/performance.md

.PHONY: microbench
microbench: ## the Go benchmarks; BENCH=regexp for some of them
	go test -run='^$$' -bench='$(BENCH)' -benchmem ./...

.PHONY: demo
demo: build ## vstream with a simulated vCenter to look at
	./vstream demo

.PHONY: ui
ui: ## the page, from web into internal/webui/dist; needs Node 20 and npm
	cd web
	npm ci
	npm run build

.PHONY: screenshots
screenshots: ## docs/ui/: pictures of the page in each of its states; needs Chromium
	mkdir -p docs/ui
	go test -count=1 -run '^TestScreenshots$$' ./internal/webui -args -screenshots '$(CURDIR)/docs/ui'

.PHONY: docs
docs: ## what is generated from the code
	go generate ./...

# The manifest to install with kubectl apply -f release.yaml.
#   make release.yaml IMAGE=registry.example.com/team/vstream:v1.0.0   names an image that is there
#   KO_DOCKER_REPO=registry.example.com/team make release.yaml        builds and pushes one
#   OVERLAY=simulator                                                  instead of the base
overlay := deploy/kubernetes/$(if $(OVERLAY),overlays/$(OVERLAY),base)
ko_name := ko://vstream/cmd/vstream

.PHONY: release.yaml
release.yaml: ## the Kubernetes manifest; needs IMAGE or KO_DOCKER_REPO
	@if [[ -z "$(IMAGE)" && -z "$${KO_DOCKER_REPO:-}" ]]; then
		echo "release.yaml: set IMAGE=registry/vstream:tag to use that image, or KO_DOCKER_REPO=registry/team to build and push one" >&2
		exit 1
	fi
	if [[ ! -f $(overlay)/kustomization.yaml ]]; then
		echo "release.yaml: there is no OVERLAY=$(OVERLAY); there are:" $$(ls deploy/kubernetes/overlays) >&2
		exit 1
	fi
	scratch=$$(mktemp -d) # not here: ko would call the work tree dirty
	trap 'rm -rf "$$scratch"' EXIT
	$(KUSTOMIZE) build $(overlay) >"$$scratch/rendered.yaml"
	if [[ -n "$(IMAGE)" ]]; then
		sed 's|$(ko_name)|$(IMAGE)|' "$$scratch/rendered.yaml" >"$$scratch/new.yaml"
	else
		VERSION=$(VERSION) $(KO) resolve --base-import-paths --tags $(VERSION) -f "$$scratch/rendered.yaml" >"$$scratch/new.yaml"
	fi
	cp "$$scratch/new.yaml" $@
	echo "release.yaml: $$(grep -c '^kind:' $@) objects, image $$(sed -n 's/.* image: //p' $@ | sort -u)"
.ONESHELL:

.PHONY: helm
helm: ## lint the Helm chart, render its modes, and check what comes out
	.ci/run helm

# Charts have versions as 1.2.3; what is of no release is 0.0.0 and the commit.
chart_version = $(if $(filter v%,$(VERSION)),$(VERSION:v%=%),0.0.0-g$(VERSION))

.PHONY: release-files
release-files: ## release/: what a release has beside binaries: the packaged chart, completions
	rm -rf release
	mkdir -p release/completions
	go run ./cmd/vstream completion bash >release/completions/vstream.bash
	go run ./cmd/vstream completion fish >release/completions/vstream.fish
	go run ./cmd/vstream completion zsh >release/completions/_vstream
	go run ./cmd/vstream completion powershell >release/completions/vstream.ps1
	$(HELM) package deploy/helm/vstream --version $(chart_version) --app-version $(VERSION) --destination release

.PHONY: release-check
release-check: ## whether GoReleaser accepts .goreleaser.yaml; builds it first: four minutes, once
	$(GORELEASER) check

.PHONY: release-try
release-try: ## dist/: a release as it would be, without an image, signatures and lists of contents
	$(GORELEASER) release --snapshot --clean --skip=ko,sbom,sign

.PHONY: ci
ci: ## everything that must pass before a change lands
	.ci/run

.PHONY: clean
clean: ## remove what was built
	rm -rf vstream release.yaml release dist
