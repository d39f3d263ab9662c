# `make help-all` lists what there is. CI runs these same targets.

# Pinned versions. DynamoDB Local's stands in lab/dynamodb-local/pom.xml, the CDK CLI's in infra/package.json,
# axe-core's in lab/browser/package.json, those of examples/ in their package-lock.json, the SDKs' in lab/login/package.json and lab/login/constraints.txt, ministack's in
# lab/rehearse/constraints.txt, Go's in go.mod.
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0
SAM_VERSION           := 1.170.0
CFN_LINT_VERSION      := 1.58.0
CYCLONEDX_GOMOD_VERSION := v1.10.0
BENCHSTAT_VERSION     := v0.0.0-20260908200009-22c9c6c9d4da

FUZZTIME ?= 10000x
STEPS    ?= 100000
SESSIONS ?= 100000
EXPIRIES ?= 200
SINCE    ?= HEAD~1
SOAK     ?= 10m
BENCH    ?= .
COUNT    ?= 1
BENCHFLAGS ?=
CONTEXT  ?=
ARCHS    ?= arm64 amd64
FROM     ?=

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

# The tests make much garbage: collecting it less often takes less time, and memory that is there.
# And they wait much, so that more of them run at once than there are processors.
GOTEST := env GOGC=400 go test -shuffle=on -parallel 4 -timeout 40m
# The race detector does not look into the code of the embedded DynamoDB, of which we read and write no memory, and whose
# locks it knows: that is a sixth of its work. (It has to look into the AWS SDK, which synchronizes by atomics.)
RACE := -race '-gcflags=github.com/truora/minidyn/...=-race=false'

# All packages but the CDK app, which needs Node, and a minute to compile what it uses of CDK, the example, which is a
# module of its own, and those that have tests of another target alone.
# What takes longest begins first.
PACKAGES := ./shared/server ./shared/sweep ./clients/... ./cmd/... ./functions/... ./shared/... $(patsubst %/,./%/...,$(filter-out lab/bench/ lab/rie/ lab/prove/ lab/browser/ lab/login/ lab/tabs/ lab/moving/ lab/example/ lab/examples/,$(sort $(dir $(wildcard lab/*/*.go)))))

# Every folder of functions/ that has a main.go is a Lambda function.
FUNCTIONS := $(filter-out internal,$(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go)))

# The same sources and the same Go make the same bytes, wherever they lie and whatever the caller's environment says.
GOBUILD := CGO_ENABLED=0 GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= \
	go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w -buildid='

# Named after its version, so that another version is another file.
GOLANGCI_LINT := .tools/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint

GOVULNCHECK := .tools/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck

# Named after the versions too: what is pinned differently is installed anew.
SAM := .tools/sam-$(SAM_VERSION)-cfn-lint-$(CFN_LINT_VERSION)/bin
CDK_CLI := .tools/cdk/node_modules/.bin/cdk
AXE := .tools/browser/node_modules/axe-core/axe.min.js
CALLERS := .tools/callers
LOGINS := .tools/logins
MOVING := .tools/moving
EXAMPLES := .tools/examples
JS := clients/js/node_modules/.complete
TABS := .tools/tabs/rotor.js

# The CDK app runs on the Node that there is, also where that is past its end of life.
NODE := JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=$$(node -p 'process.versions.node.split(".")[0]')
CDK = cd infra && $(NODE) CDK_DISABLE_CLI_TELEMETRY=true ../$(CDK_CLI) --no-notices

.PHONY: help
help: ## show what is used daily; make help-all shows every target
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: help-all
help-all: ##- show every target
	@awk 'BEGIN { FS = ":.*##-? " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*##-? / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Run

.PHONY: run
run: ## the whole API on 127.0.0.1:3000 (ADDR=host:port, BASE_PATH=/auth, KEYS=path), store and keys in memory
	@go run ./cmd/rotor run

.PHONY: dynamodb-local
dynamodb-local: ##- DynamoDB Local on port 8000, in memory (needs Java, and Maven once)
	@lab/dynamodb-local/run.sh serve 8000

##@ Test

.PHONY: test
test: ## all tests, on the embedded store; Go is all it needs
	$(GOTEST) $(PACKAGES)

# It leaves out the commands of the documentation, which run one after the other.
.PHONY: race-detector
race-detector: ## the same under the race detector, without most of lab/; three times as long (needs a C compiler)
	$(GOTEST) $(RACE) -skip '^TestReadme$$' $(filter-out ./lab/%,$(PACKAGES)) ./lab/load/... ./lab/scale/...

# The tests that grow with a number, at its whole length.
LONG := ^Test(Events|RevokeAll|RotationsAtRandom|RotationUnderLoad|Race|ThrottledRace|SweepRequests|SweepOfAHealthCheck.*|Random|EveryRequestEndsOnce)$$
LONG_PACKAGES := ./shared/server ./shared/sweep ./clients/tokensource ./lab/scale

.PHONY: test-long
test-long: ##- what make test plays in short: thousands of families, events and racers; the tests of make bench, which build programs
	go test -count=1 -timeout 30m $(LONG_PACKAGES) -run '$(LONG)' -long
	$(GOTEST) ./lab/bench

.PHONY: test-import
test-import: ##- kills an import of 100,000 sessions and runs it again, on DynamoDB Local, in half an hour (needs Java, and Maven once)
	lab/dynamodb-local/run.sh with go test -count=1 -timeout 60m ./cmd/rotor -run 'TestImportIsKilled' -v -long

.PHONY: test-infra
test-infra: ## the tests of the construct and its app: what is deployed, and who may do what (needs Node)
	$(NODE) go test -shuffle=on ./infra ./infra/cdk

.PHONY: test-dynamodb-local
test-dynamodb-local: ## the tests that touch the store, on DynamoDB Local (needs Java, and Maven once)
	lab/dynamodb-local/run.sh with $(GOTEST) -parallel 3 -count=1 ./shared/... ./cmd/...

.PHONY: test-lambda
test-lambda: ##- the built functions under Lambda's emulator, on DynamoDB Local; prints cold starts (Linux; Java, Maven, pip)
	lab/rie/run.sh

.PHONY: test-browser
test-browser: $(AXE) ## the pages of the console and of the demo, in a real Chromium (needs Chromium, and npm once)
	go test -tags browser -count=1 -shuffle=on -parallel 4 -timeout 10m ./lab/browser

.PHONY: test-tabs
test-tabs: $(TABS) ## ten tabs of one session, and attacks on it, in a real Chromium, in ten minutes (EXPIRIES=200; Chromium, Node)
	go test -tags tabs -count=1 -shuffle=on -parallel 4 -timeout 3h -v ./lab/tabs -expiries $(EXPIRIES)

# The package as a page has it, apart from clients/js/dist, which other targets make anew.
.PHONY: $(TABS)
$(TABS): $(JS)
	rm -rf $(@D)
	clients/js/node_modules/.bin/esbuild rotor=clients/js/src/browser.ts dpop=clients/js/src/dpop.ts --bundle --splitting --format=esm --target=es2022 --log-level=warning --outdir=$(@D)

.PHONY: screenshot
screenshot: ##- take the README's picture, of the playground (as test-browser)
	ROTOR_PICTURE='$(CURDIR)/docs/playground.png' go test -tags browser -count=1 -run '^TestPicture$$' ./lab/browser

.PHONY: rehearse
rehearse: build $(CDK_CLI) ## deploy to an emulator of AWS, use, upgrade and destroy it (FROM=revision; Linux; Node, pip)
	lab/rehearse/run.sh $(if $(FROM),-from '$(FROM)')

.PHONY: rehearse-broken
rehearse-broken: build $(CDK_CLI) ## deploy what is broken on purpose, in one way after another: does the rehearsal fail?
	lab/rehearse/run.sh -broken

.PHONY: test-clients
test-clients: $(CALLERS)/complete ##- the documentation's signed calls and logins, in Node, Python and Go, against a verifier of signatures (Node, pip)
	go test -tags callers -count=1 -run Documentation ./clients/manage

# Complete only once both are installed.
$(CALLERS)/complete: $(addprefix clients/manage/testdata/,package.json package-lock.json constraints.txt)
	rm -rf $(CALLERS) && mkdir -p $(CALLERS)
	cp clients/manage/testdata/package.json clients/manage/testdata/package-lock.json $(CALLERS)
	npm ci --prefix $(CALLERS) --no-audit --no-fund
	python3 -m venv $(CALLERS)/venv
	$(CALLERS)/venv/bin/pip install --quiet --disable-pip-version-check --constraint clients/manage/testdata/constraints.txt botocore requests
	@touch $@

.PHONY: test-logins
test-logins: $(LOGINS)/complete ## unmodified SDKs log in, refresh 50 times and log out (Chromium, Node, pip)
	go test -tags logins -count=1 -shuffle=on -parallel 4 -timeout 10m ./lab/login

# Scripts of packages are not run: those for browsers want none.
$(LOGINS)/complete: $(addprefix lab/login/,package.json package-lock.json constraints.txt)
	rm -rf $(LOGINS) && mkdir -p $(LOGINS)
	cp lab/login/package.json lab/login/package-lock.json $(LOGINS)
	npm ci --prefix $(LOGINS) --no-audit --no-fund --ignore-scripts
	python3 -m venv $(LOGINS)/venv
	$(LOGINS)/venv/bin/pip install --quiet --disable-pip-version-check --constraint lab/login/constraints.txt authlib flask requests
	@touch $@

.PHONY: test-moving
test-moving: $(MOVING)/complete ## sessions move in from node-oidc-provider (Node)
	go test -tags moving -count=1 -shuffle=on -timeout 5m ./lab/moving

$(MOVING)/complete: $(addprefix lab/moving/,package.json package-lock.json)
	rm -rf $(MOVING) && mkdir -p $(MOVING)
	cp lab/moving/package.json lab/moving/package-lock.json $(MOVING)
	npm ci --prefix $(MOVING) --no-audit --no-fund --ignore-scripts
	@touch $@

.PHONY: test-js
test-js: $(JS) ## the package for JavaScript: types, tests against rotor run in Node, Deno and Bun, its size (Node)
	go build -o .tools/js/ ./cmd/rotor ./lab/js
	cd clients/js && ROTOR_PROGRAMS='$(CURDIR)/.tools/js' npm run --silent check

.PHONY: compare-js
compare-js: $(JS) ##- what lost answers, kills, crowds and wrong clocks do to sessions of the package, of a library and of a naive program (Node)
	go build -o .tools/js/ ./cmd/rotor
	cd clients/js && npm run --silent build && PRINT=1 ROTOR_PROGRAMS='$(CURDIR)/.tools/js' node --test-reporter=spec test/compare/compare.test.mjs test/compare/keyed.test.mjs

# Next.js is built each time, since it takes no longer than to know whether that is needed.
.PHONY: test-examples
test-examples: $(EXAMPLES)/complete ## the apps of examples/, in a real Chromium: a page, an Express server, Next.js (Chromium, Node, and npm once)
	tar -C examples -c --exclude=node_modules --exclude=.next --exclude=sessions . | tar -C $(EXAMPLES) -x
	cd $(EXAMPLES)/next && NEXT_TELEMETRY_DISABLED=1 npm run --silent build
	go test -tags examples -count=1 -shuffle=on -parallel 4 -timeout 10m ./lab/examples

# They have the package as it is packed. Scripts of packages are not run.
$(EXAMPLES)/complete: examples/rotor.tgz $(foreach app,spa bff next,examples/$(app)/package.json examples/$(app)/package-lock.json)
	rm -rf $(EXAMPLES) && mkdir -p $(EXAMPLES)
	tar -C examples -c --exclude=node_modules --exclude=.next --exclude=sessions . | tar -C $(EXAMPLES) -x
	for app in spa bff next; do npm ci --prefix $(EXAMPLES)/$$app --no-audit --no-fund --ignore-scripts; done
	@touch $@

# The package as npm would publish it.
examples/rotor.tgz: $(JS) $(wildcard clients/js/package.json clients/js/tools/schema.mjs clients/js/src/*.ts clients/js/src/*/*.ts)
	cd clients/js && mv "$$(npm pack --silent)" ../../examples/rotor.tgz

$(JS): $(addprefix clients/js/,package.json package-lock.json)
	npm ci --prefix clients/js --no-audit --no-fund --ignore-scripts
	cd clients/js/node_modules/bun && node install.js # which puts the program in its place
	@touch $@

.PHONY: cover
cover: ##- the tests' coverage of shared/, by function and as cover.html
	go test -coverpkg ./shared/... -coverprofile cover.out ./shared/... ./cmd/...
	go tool cover -html cover.out -o cover.html
	go tool cover -func cover.out

##@ Prove (see docs/verification.md)

.PHONY: prove
prove: ## all of it, at length: about an hour
	$(MAKE) histories STEPS=1000000
	go test -count=1 -timeout 1h ./shared/server -run '^TestCookie(Late|Histories)$$' -long
	$(MAKE) test-long
	$(MAKE) test-races
	$(MAKE) spec SPEC=--large
	$(MAKE) mutants
	$(MAKE) fuzz FUZZTIME=60s
	$(MAKE) naive
	$(MAKE) soak

# 16 players, each with histories of 100 steps on average, any number each: with what is asked for beyond STEPS, fewer
# come about once in 100 million runs.
.PHONY: histories
histories: ##- random histories against the model, STEPS=100000, and SESSIONS=100000 of careless clients
	go test -count=1 -timeout 2h -v ./shared/server -run '^Test(Saved)?Histories$$' \
		-rapid.checks=$$(( $(STEPS) / 1340 + 1 )) -rapid.steps=100
	go test -count=1 -timeout 2h -v ./shared/server -run '^Test(NaiveSessions|Copies|RandomThief)$$' \
		-rapid.checks=$$(( $(STEPS) / 200 + 1 )) -sessions=$(SESSIONS)

.PHONY: test-races
test-races: ##- eight processes race for a minute: linearizable? and 100 times kill -9 in mid-load (Java, Maven)
	lab/dynamodb-local/run.sh with $(GOTEST) $(RACE) -tags prove -count=1 -v -timeout 30m ./lab/prove -run 'Checker|Linearizable|Kill'

.PHONY: naive
naive: ##- careless clients, for a minute: does any lose its session? thieves who refresh fast: is any not found out?
	go test -tags prove -count=1 -v -timeout 10m ./lab/prove -run 'Naive|FastThief'

.PHONY: soak
soak: ##- the highest rate for SOAK=10m: does anything grow?
	SOAK=$(SOAK) go test -tags prove -count=1 -v -timeout 2h ./lab/prove -run Soak

.PHONY: spec
spec: ##- the TLA+ specification, checked by TLC (Java, Maven; SPEC=--large for an hour's more states)
	shared/family/spec/run.sh check $(SPEC)

.PHONY: mutants
mutants: ##- break the protocol in one way after another: do the tests catch it?
	go run ./lab/mutants

.PHONY: mutants-changed
mutants-changed: ##- the mutants of packages that differ from SINCE=HEAD~1, each against the test that must notice
	go run ./lab/mutants -quick -since $(SINCE)

.PHONY: mutants-doc
mutants-doc: ##- write docs/mutants.md, the table of mutants
	go run ./lab/mutants -write docs/mutants.md

.PHONY: fuzz
fuzz: ##- every fuzz target in the tree, FUZZTIME=10000x (so many executions) or 30s each
	lab/fuzz.sh $(FUZZTIME)

##@ Measure (see docs/benchmarks.md)

.PHONY: bench
bench: build $(if $(and $(shell command -v node),$(shell command -v npm)),$(MOVING)/complete) ## Rotor under load, its storage and its cold starts, to dist/bench.json (BENCHFLAGS=-short; Java, Maven, pip, npm)
	$(if $(and $(shell command -v java),$(shell command -v mvn)),lab/dynamodb-local/run.sh with) go run ./lab/bench $(BENCHFLAGS)

.PHONY: bench-growth
bench-growth: ##- how cost grows, to a million families, to dist/growth.json (BENCHFLAGS=-short: a minute; Java, Maven)
	lab/dynamodb-local/run.sh with go run ./lab/bench -growth $(BENCHFLAGS)

.PHONY: bench-counts
bench-counts: ## what a call takes, in requests, units, bytes and allocations, beside lab/counts/counts.json (WRITE=-write)
	go run ./lab/counts $(WRITE)

.PHONY: bench-page
bench-page: ##- docs/benchmarks.md's tables and plot, from dist/bench.json and dist/growth.json, or one of them
	go run ./lab/bench -markdown docs/benchmarks.md

.PHONY: scale
scale: ##- where Rotor breaks first as it grows, to docs/scale.md, from dist/bench.json or the report kept (a minute)
	go run ./lab/scale -markdown docs/scale.md

.PHONY: cost
cost: ##- what a million refreshes cost, for each way to run Rotor, to docs/cost.md
	go run ./lab/cost write

.PHONY: microbench
microbench: ##- micro-benchmarks, to dist/bench-new.txt (BENCH=regexp COUNT=1)
	@mkdir -p dist
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PACKAGES) | tee dist/bench-new.txt

.PHONY: benchstat
benchstat: ##- dist/bench-new.txt beside dist/bench-old.txt (COUNT=10 makes them worth comparing)
	go run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION) dist/bench-old.txt dist/bench-new.txt

##@ Check

.PHONY: tools
tools: $(GOLANGCI_LINT) $(GOVULNCHECK) $(CDK_CLI) $(AXE) $(SAM)/sam $(CALLERS)/complete $(LOGINS)/complete $(MOVING)/complete $(JS) $(EXAMPLES)/complete ## fetch now what the other targets fetch when they need it (Linux)
	go mod download
	lab/dynamodb-local/run.sh fetch
	lab/rie/run.sh fetch
	lab/rehearse/run.sh fetch
	shared/family/spec/run.sh fetch

.PHONY: lint
lint: $(GOLANGCI_LINT) $(GOVULNCHECK) ## linters, comments, formatting, go.mod and known vulnerabilities, at the versions pinned here
	go mod tidy -diff
	go -C lab/example mod tidy -diff # its build list follows from that of this module
	$(GOLANGCI_LINT) config verify
	$(GOLANGCI_LINT) run
	go run ./lab/prose
	lab/vulnerabilities.sh $(GOVULNCHECK)

.PHONY: lint-infra
lint-infra: $(SAM)/sam synth templates ##- the templates: cfn-lint and sam validate (needs Node and Python)
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM)/sam validate --lint --template infra/sam/template.yaml
	rm -rf dist/lint && mkdir -p dist/lint
	cd infra && go build -o ../dist/lint/app ./cdk
	$(CDK) synth --quiet --app ../dist/lint/app --output ../dist/lint/with-all $(WITH_ALL)
	$(CDK) synth --quiet --app ../dist/lint/app --output ../dist/lint/edge $(WITH_ALL) -c edge=true \
		-c edgeCertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 \
		-c webAclArn=arn:aws:wafv2:us-east-1:123456789012:global/webacl/rotor/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
	$(CDK) synth --quiet --app ../dist/lint/app --output ../dist/lint/balancer -c domain=auth.example.com -c provisionedConcurrency=10 \
		-c listenerArn=arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/public/50dc6c495c0c9188/f2f7dc8efc522ab2
	$(CDK) synth --quiet --output ../dist/lint/firewall --app '../dist/lint/app firewall'
	$(CDK) synth --quiet --app ../dist/lint/app --output ../dist/lint/preview -c stage=preview -c retain=false
	templates=$$(ls cdk.out/*.template.json dist/lint/*/*.template.json dist/templates/*/*.template.json); \
	$(SAM)/cfn-lint $$templates; \
	for template in $$templates; do \
		SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM)/sam validate --lint --template "$$template"; \
	done

# Whatever makes more resources or other ones.
WITH_ALL := -c domain=auth.example.com -c hostedZoneId=Z0123456789ABC -c alarmEmail=ops@example.com \
	-c certificateArn=arn:aws:acm:us-east-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 \
	-c origins=https://app.example.com -c authorizationEndpoint=https://login.example.com/ -c signingAlgorithm=ES256 -c warmWriteUnits=15000 -c provisionedConcurrency=10 \
	-c kmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 -c tags=team=auth \
	-c permissionsBoundaryArn=arn:aws:iam::123456789012:policy/boundary

$(SAM)/sam: infra/sam/constraints.txt
	python3 -m venv $(SAM)/..
	$(SAM)/pip install --quiet --disable-pip-version-check --constraint infra/sam/constraints.txt aws-sam-cli==$(SAM_VERSION) cfn-lint==$(CFN_LINT_VERSION)

.PHONY: openapi
openapi: ##- write the JSON of docs/openapi.yaml that /openapi.json serves
	go run ./lab/openapi

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format the Go files
	$(GOLANGCI_LINT) fmt

$(GOLANGCI_LINT):
	@echo 'building golangci-lint $(GOLANGCI_LINT_VERSION), once; this takes some minutes'
	GOBIN='$(abspath $(@D))' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(GOVULNCHECK):
	GOBIN='$(abspath $(@D))' go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

##@ Build

.PHONY: build
build: $(foreach arch,$(ARCHS),$(FUNCTIONS:%=dist/$(arch)/%.zip)) ## every function to dist/<arch>/<function>.zip, reproducibly
	@$(if $(FUNCTIONS),,echo 'no functions/*/main.go found' >&2; exit 1)

# $* is <arch>/<function>. Always run: go's own cache knows what is up to date.
dist/%.zip: FORCE
	@mkdir -p dist/$*
	GOARCH=$(*D) $(GOBUILD) -o dist/$*/bootstrap ./functions/$(*F)
	@go run ./lab/pack $@ dist/$*/bootstrap

.PHONY: FORCE
FORCE:

.PHONY: test-reproducible
test-reproducible: ##- build all zips twice, here and elsewhere with nothing cached: the same bytes
	lab/reproducible.sh

.PHONY: release
release: build templates $(JS) ## what a release has, to dist/release (TAG=v0.1.0)
	CYCLONEDX_GOMOD_VERSION=$(CYCLONEDX_GOMOD_VERSION) infra/release.sh $(TAG)

# go run prints what is wrong, and Node is all that it needs besides.
.PHONY: templates
templates: ##- the templates of a release, whose code comes from a bucket, to dist/templates (needs Node)
	cd infra && for name in template template-domain; do \
		$(NODE) CDK_OUTDIR=../dist/templates/$$name go run ./cdk $$name; \
	done

##@ Deploy (CONTEXT='-c stage=dev -c domain=…', see docs/deploy.md)

.PHONY: synth
synth: deployable ## the CloudFormation template, to cdk.out
	$(CDK) synth --quiet $(CONTEXT)

.PHONY: diff
diff: deployable ## what a deployment would change
	$(CDK) diff $(CONTEXT)

.PHONY: bootstrap
bootstrap: deployable ## prepare an account and region for CDK, once
	$(CDK) bootstrap $(CONTEXT)

.PHONY: deploy
deploy: deployable ## deploy to the account and region of the AWS credentials in use (without a question if CI is set)
	$(CDK) deploy $(if $(CI),--require-approval never) $(CONTEXT)

.PHONY: deploy-firewall
deploy-firewall: deployable ##- deploy the web ACL for the edge to us-east-1; its ARN is the setting webAclArn
	$(CDK) deploy --app 'go run ./cdk firewall' $(if $(CI),--require-approval never) $(CONTEXT)

.PHONY: destroy
destroy: deployable ## delete the stack: table, keys and logs stay unless retain=false (without a question if CI is set)
	$(CDK) destroy $(if $(CI),--force) $(CONTEXT)

.PHONY: deployable
deployable: $(CDK_CLI) build # of both architectures, since a setting says which is deployed

$(CDK_CLI): infra/package-lock.json infra/package.json
	@mkdir -p .tools/cdk
	cp infra/package.json infra/package-lock.json .tools/cdk
	npm ci --prefix .tools/cdk --no-audit --no-fund
	@touch $@

$(AXE): lab/browser/package-lock.json lab/browser/package.json
	@mkdir -p .tools/browser
	cp lab/browser/package.json lab/browser/package-lock.json .tools/browser
	npm ci --prefix .tools/browser --no-audit --no-fund
	@touch $@

.PHONY: sam-local
sam-local: sam-ready ##- the functions under SAM on port 3000, on DynamoDB Local (needs Docker; see docs/deploy.md)
	$(SAM)/sam local start-api --template infra/sam/template.yaml --port 3000

# What SAM mounts into a container: the function, and the keys beside it.
.PHONY: sam-ready
sam-ready: $(SAM)/sam $(FUNCTIONS:%=dist/amd64/%.zip)
	@test -f keys.json || { echo 'keys.json is missing: make run KEYS=keys.json makes it'; exit 1; }
	@for f in $(FUNCTIONS); do mkdir -p dist/sam/$$f && cp dist/amd64/$$f/bootstrap keys.json dist/sam/$$f; done

##@ Clean

.PHONY: clean
clean: ## remove what was made here; the tools in .tools stay
	rm -rf dist cdk.out cover.out cover.html
