# Copyright The selfsigned-issuer Authors.
# SPDX-License-Identifier: Apache-2.0

# Needs Go, git, make, and a C compiler for the race detector. Everything else is pinned in
# e2e/modules and built on first use; Go's build cache keeps it.

# A go.work file above this folder must not change what is built.
export GOWORK := off

# The Go modules with code of ours.
MODULES := . e2e e2e/modules/certmanager e2e/modules/sigstore

# $(call tool,MODULE) runs a tool that e2e/modules/MODULE pins.
tool = go tool -modfile=$(CURDIR)/e2e/modules/$(1)/go.mod

.PHONY: help
help: ## List what can be made.
	@awk -F ':.*## ' '/^##### / { gsub(/ ?##### ?/, ""); print "\n" $$0 ":" } \
		/^[a-z-]+:.*## / { gsub(/\$$+/, "$$"); printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### See it work #####

.PHONY: demo
demo: ## Show it on a real control plane, step by step (the first run builds that: 11 minutes).
	@echo "building the demo itself first (about two minutes on 2 cores the first time)"
	@cd e2e && go build -o $(CURDIR)/bin/ ./cmd/demo && exec $(CURDIR)/bin/demo

.PHONY: playground
playground: ## Start the same control plane for your own kubectl, until Ctrl-C.
	@echo "building the playground itself first (about two minutes on 2 cores the first time)"
	@cd e2e && go build -o $(CURDIR)/bin/ ./cmd/playground && exec $(CURDIR)/bin/playground

# Options of the benchmark, such as `-n 200 -rounds 1 -only online,backlog`; `-help` lists them.
BENCH ?=

.PHONY: bench
bench: ## Measure it beside the in-tree issuer: see docs/benchmark.md ($BENCH: smaller sizes).
	cd e2e && go run ./cmd/bench $(BENCH)

##### Change it #####

CONTROLLER_GEN = $(call tool,tools) controller-gen paths=./api/... \
	object:headerFile=e2e/modules/tools/header.go.txt crd:headerFile=e2e/modules/tools/header.yaml.txt

# The tests that render generated files: see internal/docgen. Several of them write the same page.
DOCGEN = go test -p=1 -count=1 -run='^TestGenerated' ./api/v1alpha1 ./cmd/selfsigned-issuer/app ./controllers ./internal/docgen ./signer

# $(call chart-files,DIRECTORY) writes what the chart in DIRECTORY takes from elsewhere, and its page.
CHART = deploy/charts/selfsigned-issuer
chart-files = mkdir -p $(1)/files/crds && cp deploy/crds/selfsigned.*.yaml $(1)/files/crds/ && \
	cp deploy/components/monitoring/prometheus-rule.yaml deploy/components/monitoring/dashboard.json $(1)/files/ && \
	$(call tool,chartdocs) helm-docs --chart-search-root=$(1) --sort-values-order=file --log-level=warning

.PHONY: generate
generate: ## Generate the CRDs, the deep copies, the chart's copies and the reference pages.
	$(CONTROLLER_GEN) output:crd:dir=deploy/crds
	$(call chart-files,$(CHART))
	$(DOCGEN) -update

.PHONY: verify
verify: ## Fail if `make generate` would change something.
	@generated=$$(mktemp -d) && trap 'rm -r "$$generated"' EXIT && \
	$(CONTROLLER_GEN) output:crd:dir="$$generated" output:object:dir="$$generated" && \
	for file in "$$generated"/*; do \
		case "$$file" in *.go) committed=api/v1alpha1 ;; *) committed=deploy/crds ;; esac; \
		diff -u "$$committed/$${file##*/}" "$$file" || { echo "Run 'make generate'."; exit 1; }; \
	done && \
	cp -R $(CHART) "$$generated/chart" && $(call chart-files,"$$generated/chart") && \
	{ diff -ru $(CHART) "$$generated/chart" || { echo "Run 'make generate'."; exit 1; }; }
	@$(DOCGEN)

.PHONY: demo-svg
demo-svg: ## Record the demo for the README.
	cd e2e && go run ./cmd/record -prompt="make demo" -output=../docs/demo.svg go run ./cmd/demo

.PHONY: lint
lint: ## Check the code against .golangci.yml, go.mod for tidiness, and the workflows.
	@for module in $(MODULES); do \
		echo "linting $$module"; \
		(cd $$module && $(call tool,lint) golangci-lint-kube-api-linter run --allow-parallel-runners && go mod tidy -diff) || exit 1; \
	done
	@echo "linting e2e/modules/trustmanager" # with the flags of its build: nothing is compiled twice
	@linter=$$($(call tool,lint) -n golangci-lint-kube-api-linter) && cd e2e/modules/trustmanager && go mod tidy -diff && \
		CGO_ENABLED=0 GOFLAGS=-trimpath $$linter run --allow-parallel-runners
	cd e2e/modules/lint && go test -count=1 ./...
	$(call tool,tools) actionlint

##### Test it #####

# How much `make test` prints: see the formats of gotestsum.
TEST_FORMAT ?= testname

# -count=1: Go's test cache does not know of the manifests and programs that are tested.
# CERT_MANAGER=MINOR runs the minor version before the newest: see e2e/modules/certmanager.
.PHONY: test
test: ## Run all tests, those on the real control plane included.
	@echo "preparing the test environment"; cd e2e && go run ./cmd/prepare
	@failed=; for module in $(MODULES); do \
		echo "testing $$module"; \
		(cd $$module && $(call tool,tools) gotestsum --format=$(TEST_FORMAT) -- -race -count=1 -timeout=30m ./...) \
			|| failed="$$failed $$module"; \
	done; \
	test -z "$$failed" || { echo "failed in:$$failed"; exit 1; }
	@echo "testing memory limits, without the race detector"; go test -count=1 -run='^TestSecretReadsMemory$$' ./controllers

# The previous minor version of cert-manager, and what is run on it in every change: a
# Certificate's life, what a request goes through, and approval.
PREVIOUS_CERT_MANAGER = $(basename $(notdir $(wildcard e2e/modules/certmanager/v*.mod)))
PREVIOUS_TESTS = ^Test(Certificate(Life|Fields|Extras)|SwitchOfIssuer|KeySwapped|EmptySubject|Outcomes|Approval|Denied)

.PHONY: test-previous
test-previous: ## Test the core on the previous minor version of cert-manager.
	@echo "preparing cert-manager $(PREVIOUS_CERT_MANAGER)"; \
		cd e2e && CERT_MANAGER=$(PREVIOUS_CERT_MANAGER) go run ./cmd/prepare
	cd e2e && CERT_MANAGER=$(PREVIOUS_CERT_MANAGER) $(call tool,tools) gotestsum --format=$(TEST_FORMAT) -- \
		-race -count=1 -run='$(PREVIOUS_TESTS)' .

.PHONY: test-fips
test-fips: ## Test the program and the image with Go's validated FIPS 140-3 module built in.
	GOFIPS140=v1.0.0 $(MAKE) build BIN=bin/fips
	cd e2e && go test -count=1 -run='^TestFIPS$$' . -fips-binary=$(CURDIR)/bin/fips/selfsigned-issuer
	cd e2e && go test -count=1 -run='^TestFIPSImage$$' ./imagetest -fips

# What more `make test-faults` and `make soak` run of e2e/faulttest than `make test` does.
FAULT_REQUESTS ?= 500
FAULT_ROUNDS ?= 3
SOAK ?= 30m

.PHONY: test-faults
test-faults: ## Let everything go wrong with $$FAULT_REQUESTS requests in flight, $$FAULT_ROUNDS times (45 minutes).
	go test ./cmd/selfsigned-issuer/app -v -count=1 -run='^TestPortsUnderAttack$$'
	cd e2e && go test ./faulttest -v -count=1 -timeout=0 -requests=$(FAULT_REQUESTS) -rounds=$(FAULT_ROUNDS)

.PHONY: soak
soak: ## Keep one replica under traffic and faults for $$SOAK, and watch its memory.
	cd e2e && go test ./faulttest -v -count=1 -timeout=0 -run='TestSoak$$' -requests=100 -soak=$(SOAK)

FUZZ_TIME ?= 10m

.PHONY: fuzz
fuzz: ## Fuzz everything that reads what others wrote, $$FUZZ_TIME each.
	@for target in $$(grep -ohE '^func Fuzz[A-Za-z]+' signer/*_test.go controllers/*_test.go | cut -c6-); do \
		go test $$(dirname $$(grep -l "^func $$target(" signer/*_test.go controllers/*_test.go | sed 's|^|./|')) \
			-run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZ_TIME) -fuzzminimizetime=1s || exit 1; \
	done

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is called (asks the Go vulnerability database).
	$(call tool,audit) govulncheck ./...

LICENSES = Apache-2.0,BSD-3-Clause,ISC,MIT

.PHONY: licenses
licenses: ## List the licenses of what is shipped in docs/licenses.md; fail on one not allowed here.
	$(call tool,audit) go-licenses check ./cmd/selfsigned-issuer --allowed_licenses=$(LICENSES)
	$(call tool,audit) go-licenses report ./cmd/selfsigned-issuer --ignore github.com/cert-manager/selfsigned-issuer \
		--template e2e/modules/audit/licenses.tpl 2>/dev/null >docs/licenses.md

.PHONY: audit
audit: vulncheck licenses ## Both of these: what the public workflow runs beside the tests.

.PHONY: test-cluster
test-cluster: ## Test the image $IMAGE on the cluster that KUBECONFIG names: installs it and removes it.
	cd e2e && IMAGE=$(IMAGE) go test -tags=clustertest -count=1 -v -timeout=30m ./clustertest

##### Ship it #####

# Who publishes the images and the charts: a registry and an organization in it. A fork changes
# this line and runs `make release-prepare`, which writes it wherever it is named.
REGISTRY ?= ghcr.io/cert-manager

# Where the program goes.
BIN ?= bin

.PHONY: build
build: ## Build $$BIN/selfsigned-issuer for $GOOS and $GOARCH, with its version from git.
	CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags='-s -w' -o $(BIN)/selfsigned-issuer ./cmd/selfsigned-issuer

# What `make image` makes. The manifests in deploy name the image of the release instead.
IMAGE ?= selfsigned-issuer:dev
# For another platform, such as linux/arm64, or for several, separated by commas: that makes one
# image index. Older buildah does not set BUILDPLATFORM itself.
PLATFORM ?=
# The platforms of a release.
PLATFORMS = linux/amd64,linux/arm64,linux/arm/v7,linux/ppc64le,linux/s390x
comma := ,
SEVERAL = $(findstring $(comma),$(PLATFORM))
# FIPS=1: cryptography from Go's validated FIPS 140-3 module alone.
FIPS ?=
# What the image says of itself. Its times are those of the commit, so that the same commit
# makes the same image; docker takes them from the environment.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
VERSION = $(shell git describe --tags --always --dirty)
IMAGE_ARGS = VERSION=$(VERSION) REVISION=$(shell git rev-parse HEAD) \
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) GOFIPS140=$(if $(FIPS),v1.0.0,off)
# More flags for the builder, to build and to push.
IMAGE_FLAGS ?=
PUSH_FLAGS ?=
# The first one that works here.
BUILDER ?= $(shell for b in docker podman buildah; do $$b info >/dev/null 2>&1 && echo $$b && break; done)
DOCKER = $(filter docker,$(BUILDER))
# podman and buildah name an index in another way, and add to an earlier one of that name.
LIST = $(if $(DOCKER),,$(SEVERAL))
# $(call build-image,PLATFORM,NAME). docker would put the time into provenance of its own.
build-image = SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(BUILDER) $(if $(DOCKER),$(if $(SEVERAL),buildx)) build \
	$(if $(1),--platform=$(1) --build-arg=BUILDPLATFORM=linux/$(shell go env GOHOSTARCH)) $(IMAGE_ARGS:%=--build-arg=%) \
	$(if $(DOCKER),--provenance=false,--timestamp=$(SOURCE_DATE_EPOCH)) $(IMAGE_FLAGS) $(2) .

.PHONY: image
image: ## Build the image $IMAGE with docker, podman or buildah ($PLATFORM: for which platforms; FIPS=1).
	@test -n '$(BUILDER)' || { echo "make image needs docker, podman or buildah"; exit 1; }
	$(if $(LIST),@$(BUILDER) manifest rm $(IMAGE) >/dev/null 2>&1 || true)
	# One after the other, as the order in the index is a part of its digest.
	set -e; $(if $(LIST),for platform in $(subst $(comma), ,$(PLATFORM)); do \
		$(call build-image,$$platform,--manifest=$(IMAGE)); done,$(call build-image,$(PLATFORM),--tag=$(IMAGE)))

# docker has to push several platforms while it builds them, unless it has containerd's store.
.PHONY: push
push: ## Build the image $IMAGE and push it ($PLATFORM: for one platform or several; FIPS=1).
ifneq ($(and $(SEVERAL),$(DOCKER)),) # in this order: DOCKER asks every builder
	$(MAKE) image IMAGE_FLAGS="$(IMAGE_FLAGS) --push"
else
	$(MAKE) image
	$(BUILDER) $(if $(LIST),manifest push --all,push) $(PUSH_FLAGS) $(IMAGE) $(if $(DOCKER),,docker://$(IMAGE))
endif

.PHONY: sbom
sbom: build ## Write $BIN/selfsigned-issuer.cdx.json: what is in the program, in CycloneDX's format.
	$(call tool,sbom) cyclonedx-gomod bin -json -std -noserial -notimestamp -version=$(VERSION) \
		-output=$(BIN)/selfsigned-issuer.cdx.json $(BIN)/selfsigned-issuer

OVERLAY ?= deploy/overlays/default

.PHONY: render
render: ## Print what $OVERLAY installs with the image $IMAGE, for kubectl.
	@$(call tool,tools) kustomize build $(OVERLAY) | sed 's|image: .*/selfsigned-issuer:.*|image: $(IMAGE)|'

# Where the assets of a release go, and how one is rendered: $(call asset,FILE,KUSTOMIZATIONS).
DIST ?= dist
asset = set -e; for base in $(2); do echo ---; $(call tool,tools) kustomize build deploy/$$base; done >$(DIST)/$(1)

.PHONY: release-artifacts
release-artifacts: ## Write the assets of a release to $DIST: manifests, chart, SBOM and checksums.
	rm -rf $(DIST) && mkdir -p $(DIST)
	$(call asset,install.yaml,namespace overlays/default)
	$(call asset,install-production.yaml,namespace overlays/production)
	$(call asset,install-admin.yaml,namespace admin)
	$(call asset,install-namespaced.yaml,overlays/namespaced overlays/namespaced/namespaces/sandbox)
	$(call asset,crds.yaml,crds)
	cd e2e && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) go run ./cmd/release -output=$(abspath $(DIST)) package
	$(MAKE) sbom && cp $(BIN)/selfsigned-issuer.cdx.json $(DIST)/
	cd $(DIST) && sha256sum -- * >checksums.txt

.PHONY: registry
registry:
	@echo $(REGISTRY)

.PHONY: release-image
release-image: ## Build and push the image of $VERSION for all platforms of a release (FIPS=1: the variant).
	$(MAKE) push IMAGE=$(REGISTRY)/selfsigned-issuer:$(VERSION)$(if $(FIPS),-fips) PLATFORM=$(PLATFORMS)

# More flags for pushing the chart.
CHART_FLAGS ?=

.PHONY: release-chart
release-chart: ## Push the chart that is in $DIST, and print its digest.
	cd e2e && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) go run ./cmd/release -registry=$(REGISTRY) $(CHART_FLAGS) \
		push $(abspath $(wildcard $(DIST)/selfsigned-issuer-*.tgz))

.PHONY: release-rehearsal
release-rehearsal: ## Release the committed state into a registry in memory, with a throw-away key, and install it.
	cd e2e && go test -count=1 -v -timeout=30m -run='^TestRehearsal$$' ./releasetest -rehearse

# VERSION is one that does not exist yet, such as v0.1.0.
.PHONY: release-prepare
release-prepare: ## Write $VERSION and $REGISTRY into the manifests, the chart, the docs and the changelog.
	cd e2e && go run ./cmd/release -version=$(VERSION) -registry=$(REGISTRY) prepare
	$(call chart-files,$(CHART))
