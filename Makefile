# Copyright The selfsigned-issuer Authors.
# SPDX-License-Identifier: Apache-2.0

# Requires Go, git, make, and a C compiler for the race detector. e2e/versions pins all other tools,
# which are built on first use and kept in Go's build cache.

# Ignore go.work files in parent directories.
export GOWORK := off

# The Go modules with code of this project.
MODULES := . cmd/kubectl-selfsigned e2e e2e/versions/certmanager e2e/versions/sigstore

# $(call tool,MODULE) runs a tool at the version in e2e/versions/MODULE.
tool = go tool -modfile=$(CURDIR)/e2e/versions/$(1)/go.mod

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^##### / { gsub(/ ?##### ?/, ""); print "\n" $$0 ":" } \
		/^[a-z-]+:.*## / { gsub(/\$$+/, "$$"); printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### Demo #####

.PHONY: demo
demo: ## Run a step-by-step demo on a real control plane (the first run builds it: 11 minutes).
	@echo "building the demo (about two minutes on 2 cores the first time)"
	@cd e2e && go build -o $(CURDIR)/bin/ ./tools/demo && exec $(CURDIR)/bin/demo

.PHONY: playground
playground: ## Start the same control plane for your kubectl, until Ctrl-C.
	@echo "building the playground (about two minutes on 2 cores the first time)"
	@cd e2e && go build -o $(CURDIR)/bin/ ./tools/playground && exec $(CURDIR)/bin/playground

# Options of the benchmark, such as `-n 200 -rounds 1 -only online,backlog`. `-help` lists them.
BENCH ?=

.PHONY: bench
bench: ## Run the benchmark against the in-tree issuer with the options $$BENCH: see docs/benchmark.md.
	cd e2e && go run ./tools/bench $(BENCH)

##### Development #####

CONTROLLER_GEN = $(call tool,tools) controller-gen paths=./api/... \
	object:headerFile=e2e/versions/tools/header.go.txt crd:headerFile=e2e/versions/tools/header.yaml.txt

# The tests that render generated files: see internal/docgen. -p=1, because some write the same page.
DOCGEN = go test -p=1 -count=1 -run='^TestGenerated' ./api/v1alpha1 ./cmd/selfsigned-issuer/app ./controllers ./controllers/internal/metrics ./internal/docgen ./signer

# $(call chart-files,DIRECTORY) writes the copied files and the README of the chart in DIRECTORY.
CHART = deploy/charts/selfsigned-issuer
chart-files = mkdir -p $(1)/files/crds && cp deploy/crds/selfsigned.*.yaml $(1)/files/crds/ && \
	cp deploy/components/monitoring/prometheus-rule.yaml deploy/components/monitoring/dashboard.json $(1)/files/ && \
	awk '/^app:/,/^$$/' $(1)/values.yaml | grep -v -e '\#' -e '^$$' >$(1)/files/flags.yaml && \
	$(call tool,chartdocs) helm-docs --chart-search-root=$(1) --sort-values-order=file --log-level=warning

.PHONY: generate
generate: ## Generate the CRDs, the deep copy functions, files of the chart and the reference pages.
	$(CONTROLLER_GEN) output:crd:dir=deploy/crds
	$(call chart-files,$(CHART))
	$(DOCGEN) -update

.PHONY: verify
verify: ## Fail if generated files are outdated.
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
	cd e2e && go run ./tools/record -prompt="make demo" -output=../docs/demo.svg go run ./tools/demo

.PHONY: lint
lint: ## Run the linters on the code, go.mod and the workflows.
	@for module in $(MODULES); do \
		echo "linting $$module"; \
		(cd $$module && $(call tool,lint) golangci-lint-kube-api-linter run --allow-parallel-runners && go mod tidy -diff) || exit 1; \
	done
	@echo "linting e2e/versions/trustmanager" # with its build flags, to use the build cache
	@linter=$$($(call tool,lint) -n golangci-lint-kube-api-linter) && cd e2e/versions/trustmanager && go mod tidy -diff && \
		CGO_ENABLED=0 GOFLAGS=-trimpath $$linter run --allow-parallel-runners
	cd e2e/versions/lint && go test -count=1 ./...
	$(call tool,tools) actionlint

##### Tests #####

# The output format of gotestsum.
TEST_FORMAT ?= testname

.PHONY: test-unit
test-unit: ## Run the unit tests of both programs, without a control plane.
	@for module in . cmd/kubectl-selfsigned; do \
		(cd $$module && $(call tool,tools) gotestsum --format=$(TEST_FORMAT) -- ./...) || exit 1; \
	done

# $(call gotest,MODULE,ARGUMENTS) runs tests. -count=1, because Go's test cache ignores manifests and
# programs. -p and -parallel, because many tests wait. KUBERNETES=MINOR and CERT_MANAGER=MINOR select other
# minor versions: see e2e/versions.
gotest = echo "testing $(1)"; (cd $(1) && $(call tool,tools) gotestsum --format=$(TEST_FORMAT) -- -count=1 -timeout=30m \
	-p=3 -parallel=4 $(2)) || failed="$$failed $(1)"

# Suites use the race detector in the programs that they start, not in themselves.
.PHONY: test
test: ## Run everything that a change must pass: all unit and end-to-end tests.
	@echo "preparing the test environment"; cd e2e && go run ./tools/prepare
	@failed=; $(call gotest,.,-race ./...); \
	$(call gotest,e2e,-race ./framework/...); $(call gotest,e2e,./suites/... ./tools/...); \
	$(call gotest,e2e/versions/certmanager,-race ./...); $(call gotest,e2e/versions/sigstore,-race ./...); \
	test -z "$$failed" || { echo "failed in:$$failed"; exit 1; }
	@echo "testing memory limits, without the race detector"; go test -count=1 -run='^TestSecretReadsMemory$$' ./controllers

# The tests that run with each supported version: Certificates, outcomes, approval; schema; permissions of
# each overlay and the chart, with lists that are not streamed.
CORE_TESTS = ^Test(Certificate(Life|Fields|Extras)|LeavesOutliveTheirRoot|KeySwapped|EmptySubject|Outcomes|Approval|Denied|$\
	Accepted$$|Refused$$|NothingIsRequired$$|Names$$|Columns$$|Permissions$$|DryRun$$|AdmissionPolicies$$)
SUPPORTED = grep -v '^\#' e2e/versions/supported.txt

.PHONY: test-core
test-core: ## Run the core end-to-end tests (KUBERNETES=MINOR, CERT_MANAGER=MINOR).
	@echo "preparing the test environment"; cd e2e && go run ./tools/prepare -core
	cd e2e && $(call tool,tools) gotestsum --format=$(TEST_FORMAT) -- \
		-count=1 -timeout=30m -run='$(CORE_TESTS)' ./suites/issuance ./suites/api ./suites/rbac ./suites/policy

.PHONY: test-previous
test-previous: ## Run the core end-to-end tests with the oldest supported cert-manager.
	@$(SUPPORTED) | { read -r _ certmanager _; $(MAKE) test-core CERT_MANAGER=$$certmanager; }

.PHONY: test-versions
test-versions: ## Run the core end-to-end tests with each pair of supported versions (four minutes each).
	@$(SUPPORTED) | { results=; while read -r kubernetes certmanager _; do \
		started=$$(date +%s); result=passed; \
		$(MAKE) test-core KUBERNETES=$$kubernetes CERT_MANAGER=$$certmanager </dev/null || result=FAILED; \
		results="$$results\nKubernetes $$kubernetes, cert-manager $$certmanager: $$result in $$(($$(date +%s) - started)) s"; \
	done; printf '%b\n' "$$results"; case "$$results" in *FAILED*) exit 1 ;; esac; }

.PHONY: test-checkout
test-checkout: ## Run the core end-to-end tests with the checkout of cert-manager in $$CHECKOUT.
	cd e2e/versions/certmanager && cp go.mod checkout.mod && cp go.sum checkout.sum && \
		go mod edit -replace=github.com/cert-manager/cert-manager=$(abspath $(CHECKOUT)) checkout.mod && \
		go mod tidy -modfile=checkout.mod && date '+// built at %s' >>checkout.mod # so that it is built each time
	$(MAKE) test-core CERT_MANAGER=checkout

.PHONY: test-fips
test-fips: ## Test the binary and the image with Go's validated FIPS 140-3 module.
	GOFIPS140=v1.0.0 $(MAKE) build BIN=bin/fips
	cd e2e && go test -count=1 -run='^TestFIPS$$' ./suites/issuance -fips-binary=$(CURDIR)/bin/fips/selfsigned-issuer
	cd e2e && go test -count=1 -run='^TestFIPSImage$$' ./suites/image -fips

# Requests and rounds of `make test-faults`, and the duration of `make soak`.
FAULT_REQUESTS ?= 500
FAULT_ROUNDS ?= 3
SOAK ?= 30m

.PHONY: test-faults
test-faults: ## Run the fault-injection tests with $$FAULT_REQUESTS requests, $$FAULT_ROUNDS times (two hours).
	go test ./cmd/selfsigned-issuer/app -v -count=1 -run='^TestPortsUnderAttack$$'
	cd e2e && go test ./suites/faults -v -count=1 -timeout=0 -requests=$(FAULT_REQUESTS) -rounds=$(FAULT_ROUNDS)

.PHONY: soak
soak: ## Inject faults into one replica for $$SOAK, and check its memory.
	cd e2e && go test ./suites/faults -v -count=1 -timeout=0 -run='TestSoak$$' -requests=100 -soak=$(SOAK)

FUZZ_TIME ?= 10m

.PHONY: fuzz
fuzz: ## Run each fuzz test for $$FUZZ_TIME.
	@for target in $$(grep -ohE '^func Fuzz[A-Za-z]+' signer/*_test.go controllers/*_test.go | cut -c6-); do \
		go test $$(dirname $$(grep -l "^func $$target(" signer/*_test.go controllers/*_test.go | sed 's|^|./|')) \
			-run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZ_TIME) -fuzzminimizetime=1s || exit 1; \
	done

.PHONY: vulncheck
vulncheck: ## Find known vulnerabilities with govulncheck (online).
	$(call tool,audit) govulncheck ./...
	cd cmd/kubectl-selfsigned && $(call tool,audit) govulncheck ./...

LICENSES = Apache-2.0,BSD-3-Clause,ISC,MIT

.PHONY: licenses
licenses: ## Write docs/licenses.md, and fail if a license is not allowed.
	$(call tool,audit) go-licenses check ./cmd/selfsigned-issuer --allowed_licenses=$(LICENSES)
	cd cmd/kubectl-selfsigned && $(call tool,audit) go-licenses check . --ignore github.com/cert-manager/selfsigned-issuer --allowed_licenses=$(LICENSES)
	$(call tool,audit) go-licenses report ./cmd/selfsigned-issuer --ignore github.com/cert-manager/selfsigned-issuer \
		--template e2e/versions/audit/licenses.tpl 2>/dev/null >docs/licenses.md

.PHONY: audit
audit: vulncheck licenses ## Run vulncheck and licenses.

.PHONY: test-cluster
test-cluster: ## Install, test and remove the image $$IMAGE on the cluster of KUBECONFIG.
	cd e2e && IMAGE=$(IMAGE) go test -tags=clustertest -count=1 -v -timeout=30m ./suites/cluster

##### Build and release #####

# The registry and organization of the images and charts. A fork changes this line and runs
# `make release-prepare`.
REGISTRY ?= ghcr.io/cert-manager

# The directory of the binary.
BIN ?= bin

.PHONY: build
build: ## Build $$BIN/selfsigned-issuer for $$GOOS and $$GOARCH, with the version from git.
	CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags='-s -w' -o $(BIN)/selfsigned-issuer ./cmd/selfsigned-issuer

.PHONY: build-plugin
build-plugin: ## Build $$BIN/kubectl-selfsigned, the kubectl plugin, for $$GOOS and $$GOARCH.
	cd cmd/kubectl-selfsigned && CGO_ENABLED=0 go build -trimpath -o $(abspath $(BIN))/kubectl-selfsigned \
		-ldflags='-s -w -X github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/command.Version=$(VERSION)' .

# The name of the image that `make image` builds. The manifests in deploy name that of the release.
IMAGE ?= selfsigned-issuer:dev
# A platform such as linux/arm64, or several, separated by commas, for an image index. BUILDPLATFORM is
# for older versions of buildah.
PLATFORM ?=
# The platforms of a release.
PLATFORMS = linux/amd64,linux/arm64,linux/arm/v7,linux/ppc64le,linux/s390x
comma := ,
SEVERAL = $(findstring $(comma),$(PLATFORM))
# FIPS=1 uses Go's validated FIPS 140-3 module.
FIPS ?=
# The labels of the image. Its times are those of the commit, so that the image is reproducible. docker
# reads them from the environment.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
VERSION = $(shell git describe --tags --always --dirty)
IMAGE_ARGS = VERSION=$(VERSION) REVISION=$(shell git rev-parse HEAD) \
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) GOFIPS140=$(if $(FIPS),v1.0.0,off)
# Additional flags of the builder.
IMAGE_FLAGS ?=
PUSH_FLAGS ?=
# The first builder that works.
BUILDER ?= $(shell for b in docker podman buildah; do $$b info >/dev/null 2>&1 && echo $$b && break; done)
DOCKER = $(filter docker,$(BUILDER))
# podman and buildah need another flag for an index, and add to an existing index.
LIST = $(if $(DOCKER),,$(SEVERAL))
# $(call build-image,PLATFORM,NAME). Without provenance, because docker adds the time to it.
build-image = SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(BUILDER) $(if $(DOCKER),$(if $(SEVERAL),buildx)) build \
	$(if $(1),--platform=$(1) --build-arg=BUILDPLATFORM=linux/$(shell go env GOHOSTARCH)) $(IMAGE_ARGS:%=--build-arg=%) \
	$(if $(DOCKER),--provenance=false,--timestamp=$(SOURCE_DATE_EPOCH)) $(IMAGE_FLAGS) $(2) .

.PHONY: image
image: ## Build the image $$IMAGE with docker, podman or buildah ($$PLATFORM, FIPS=1).
	@test -n '$(BUILDER)' || { echo "make image needs docker, podman or buildah"; exit 1; }
	$(if $(LIST),@$(BUILDER) manifest rm $(IMAGE) >/dev/null 2>&1 || true)
	# In sequence, because the digest of the index depends on the order.
	set -e; $(if $(LIST),for platform in $(subst $(comma), ,$(PLATFORM)); do \
		$(call build-image,$$platform,--manifest=$(IMAGE)); done,$(call build-image,$(PLATFORM),--tag=$(IMAGE)))

# Without containerd's image store, docker can only push several platforms while it builds them.
.PHONY: push
push: ## Build and push the image $$IMAGE ($$PLATFORM, FIPS=1).
ifneq ($(and $(SEVERAL),$(DOCKER)),) # in this order, because DOCKER runs each builder
	$(MAKE) image IMAGE_FLAGS="$(IMAGE_FLAGS) --push"
else
	$(MAKE) image
	$(BUILDER) $(if $(LIST),manifest push --all,push) $(PUSH_FLAGS) $(IMAGE) $(if $(DOCKER),,docker://$(IMAGE))
endif

.PHONY: sbom
sbom: build ## Write $$BIN/selfsigned-issuer.cdx.json, the bill of materials in the CycloneDX format.
	$(call tool,sbom) cyclonedx-gomod bin -json -std -noserial -notimestamp -version=$(VERSION) \
		-output=$(BIN)/selfsigned-issuer.cdx.json $(BIN)/selfsigned-issuer

OVERLAY ?= deploy/overlays/default

.PHONY: render
render: ## Print the manifests of $$OVERLAY with the image $$IMAGE.
	@$(call tool,tools) kustomize build $(OVERLAY) | sed 's|image: .*/selfsigned-issuer:.*|image: $(IMAGE)|'

# The directory of the release assets. $(call asset,FILE,KUSTOMIZATIONS) renders one.
DIST ?= dist
asset = set -e; for base in $(2); do echo ---; $(call tool,tools) kustomize build deploy/$$base; done >$(DIST)/$(1)

.PHONY: release-artifacts
release-artifacts: ## Write the release assets to $$DIST: manifests, chart, SBOM and checksums.
	rm -rf $(DIST) && mkdir -p $(DIST)
	$(call asset,install.yaml,namespace overlays/default)
	$(call asset,install-production.yaml,namespace overlays/production)
	$(call asset,install-admin.yaml,namespace admin)
	$(call asset,install-namespaced.yaml,overlays/namespaced overlays/namespaced/namespaces/sandbox)
	$(call asset,crds.yaml,crds)
	cd e2e && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) go run ./tools/release -output=$(abspath $(DIST)) package
	$(MAKE) sbom && cp $(BIN)/selfsigned-issuer.cdx.json $(DIST)/
	cd $(DIST) && sha256sum -- * >checksums.txt

.PHONY: registry
registry:
	@echo $(REGISTRY)

.PHONY: release-image
release-image: ## Build and push the image of $$VERSION for all platforms (FIPS=1).
	$(MAKE) push IMAGE=$(REGISTRY)/selfsigned-issuer:$(VERSION)$(if $(FIPS),-fips) PLATFORM=$(PLATFORMS)

# Additional flags for pushing the chart.
CHART_FLAGS ?=

.PHONY: release-chart
release-chart: ## Push the chart in $$DIST and print its digest.
	cd e2e && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) go run ./tools/release -registry=$(REGISTRY) $(CHART_FLAGS) \
		push $(abspath $(wildcard $(DIST)/selfsigned-issuer-*.tgz))

.PHONY: release-rehearsal
release-rehearsal: ## Rehearse a release of the committed state with an in-memory registry.
	cd e2e && go test -count=1 -v -timeout=2h -run='^TestRehearsal$$' ./suites/release -rehearse

# VERSION is a new version, such as v0.1.0.
.PHONY: release-prepare
release-prepare: ## Write $$VERSION and $$REGISTRY to the manifests, the chart, the docs and the changelog.
	cd e2e && go run ./tools/release -version=$(VERSION) -registry=$(REGISTRY) prepare
	$(call chart-files,$(CHART))
