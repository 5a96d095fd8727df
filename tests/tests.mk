# SPDX-License-Identifier: Apache-2.0
#
# Targets around the tests; included by the top Makefile.
#
# make deps        packages, the Python environment and servers that building and testing need; quick when all is there
# make quick       what every commit passes: build, tidy, unit tests, 70 simulator seeds
# make check       what CI runs: a slice of every layer, a table of seconds, one closing count
# make check-all   the same layers at full length
# make tidy        include law and source rules; make tidy-symbols: what the compiled objects refer to and export
# make format      clang-format on every C file; make lint: clang-tidy on what changed since LINT_BASE
# make fuzz        libFuzzer on every target, FUZZ_SECONDS each
# make bench, demo, docs, examples, sabotage
#
# The layers themselves, with their commands and time limits, are the table in tests/check.

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := build/venv
LINT_BASE ?= HEAD
FUZZ_SECONDS ?= 60

# --- what a fresh Debian 12 lacks -----------------------------------------------------------------------------------
DEPS_APT := make gcc libc6-dev binutils      # the build; nm and readelf for the symbol checks
DEPS_APT += pkgconf                          # the installed library is found through evlog.pc
DEPS_APT += clang llvm libclang-rt-14-dev     # second compiler, symbol names in reports, sanitizers and libFuzzer
DEPS_APT += clang-format clang-tidy          # make format, make lint
DEPS_APT += liburing-dev                     # the io_uring backend
DEPS_APT += liblz4-dev libzstd-dev           # codecs of record batches
DEPS_APT += libsnappy-dev zlib1g-dev         # codecs of record batches
DEPS_APT += libxxhash-dev                    # checksums of journal groups and chunks
DEPS_APT += libcbor-dev                      # bodies of evlog requests
DEPS_APT += libmbedtls-dev                   # AES-GCM, ECDSA, TLS
DEPS_APT += libsodium-dev                    # Ed25519 of signed notes; SHA-256 where the processor has no instructions
DEPS_APT += libcurl4-gnutls-dev              # HTTP to object stores; loaded when one is named
DEPS_APT += libjansson-dev                   # JSON
DEPS_APT += libmicrohttpd-dev                # HTTP: metrics, health, API
DEPS_APT += libseccomp-dev                   # the filter of the server's system calls
DEPS_APT += libsqlite3-dev                  # the SQLite store of projections, which the client itself does not link
DEPS_APT += libpq-dev postgresql             # the PostgreSQL store of projections, and what its tests start
DEPS_APT += libcmocka-dev                    # unit tests
DEPS_APT += python3 python3-venv             # test runner, tidy, integration tests
DEPS_APT += kcat                             # a stock Kafka client of the compatibility tests
DEPS_APT += e2fsprogs mount                  # file systems of the full-disk and power-cut tests
DEPS_APT += valgrind strace                  # instructions, allocations and system calls of an event
DEPS_APT += openssl                          # certificates of the tests of object stores
DEPS_APT += git curl                         # tidy lists the tracked files; README examples ask over HTTP

.PHONY: deps deps-apt deps-python deps-go
deps: deps-apt deps-python deps-go
	@if [ -n "$$SUDO_UID" ]; then chown -R "$$SUDO_UID:$$SUDO_GID" build; fi
	@echo "deps: everything is there"

deps-apt:
	$(Q)installed=" $$(dpkg-query -W -f='$${Package} $${db:Status-Status}\n' $(DEPS_APT) 2>/dev/null | \
	        sed -n 's/ installed$$//p' | tr '\n' ' ')"; missing=; \
	for package in $(DEPS_APT); do \
	    case "$$installed" in *" $$package "*) ;; *) missing="$$missing $$package" ;; esac; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then \
	    echo "deps: not installed:$$missing. Installing needs root: run 'sudo make deps'." >&2; exit 1; \
	fi; \
	echo "deps: installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q && apt-get install -q -y --no-install-recommends $$missing </dev/null

# Debian's own interpreter comes first: another one on the path may lack what venv needs.
deps-python: deps-apt
	$(Q)mkdir -p build; \
	if cmp -s tests/compat/requirements.txt $(VENV)/installed.txt && $(VENV)/bin/python -c 'import pytest'; then exit 0; fi; \
	for python in /usr/bin/python3 python3; do \
	    rm -rf $(VENV); \
	    if $$python -m venv $(VENV) && $(VENV)/bin/python -m pip install -q -r tests/compat/requirements.txt; then \
	        cp tests/compat/requirements.txt $(VENV)/installed.txt; exit 0; \
	    fi; \
	done; \
	echo "deps: no Python environment could be made in $(VENV): see the messages above" >&2; exit 1

# An S3 server of the tests. It needs Go 1.25, and Debian 12 has 1.19: without it those tests are skipped, by name.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
deps-go: deps-apt
	$(Q)mkdir -p build/tools; \
	if [ "$$(cat build/tools/versitygw.installed 2>/dev/null)" = "$(VERSITYGW)" ]; then exit 0; fi; \
	if ! command -v go >/dev/null; then echo "deps: SKIP: no Go here: tests against versitygw will be skipped"; exit 0; fi; \
	if GOBIN=$(abspath build/tools) go install $(VERSITYGW); then \
	    echo "$(VERSITYGW)" >build/tools/versitygw.installed; \
	else \
	    echo "deps: SKIP: versitygw needs Go 1.25 or later, here is $$(go version): its tests will be skipped"; \
	fi

# Test programs, and nothing else, see tests/lib/test.h as "test.h".
$(OUT)/obj/tests/%.o $(OUT)/clang/tests/%.ok: EXTRA_CFLAGS += -Itests/lib -Itests/fakes

# --- the layers -----------------------------------------------------------------------------------------------------
.PHONY: quick check check-all
quick check check-all:
	$(Q)env -u MAKEFLAGS -u MAKELEVEL OUT=$(OUT) $(PYTHON) tests/check $@

.PHONY: tidy tidy-symbols
tidy:
	$(Q)status=0; for check in layers rules selftest selftest_runner; do $(PYTHON) tests/tidy/$$check.py || status=1; done; exit $$status

tidy-symbols: all
	$(Q)$(PYTHON) tests/tidy/symbols.py $(OUT)

# The second compiler reads every source with the same warnings: what is in evlog-sim when it makes that, of the others
# an .ok file stands for a clean reading.
CLANG_MADE := $(call src,tests/sim tests/lib broker $(addprefix broker/,$(BROKER_LAYERS)) $(addprefix client/,$(CLIENT_LAYERS)) \
	$(CLIENT_DIRS_store))
CLANG_SRC := $(call src,$(addprefix client/,$(CLIENT_LAYERS)) $(CLIENT_DIRS_store) client client/sqlite client/postgres $(addprefix broker/,$(BROKER_LAYERS)) broker \
	tools/evlog tools/audit tests/lib tests/fakes tests/sim tests/exhaustive tests/fuzz tests/archive tests/integration tests/compat/others/c $(wildcard tests/unit/*))
CLANG_OK := $(patsubst %.c,$(OUT)/clang/%.ok,$(filter-out $(CLANG_MADE),$(CLANG_SRC)))
$(OUT)/clang/%.ok: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CLANG $<")
	$(Q)clang -fsyntax-only $(filter-out $(OPT_$(BUILD)),$(CFLAGS_ALL)) -MT $@ -MF $(@:.ok=.d) $(EXTRA_CFLAGS) $<
	@touch $@

.PHONY: clang-check
clang-check: $(CLANG_OK) clang-sim
-include $(patsubst %.ok,%.d,$(CLANG_OK))

C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
.PHONY: format lint
format:
	$(Q)clang-format -i --style=file $(C_FILES)

lint:
	$(Q)files=$$( (git diff --name-only --diff-filter=d $(LINT_BASE) -- '*.c'; \
	        git ls-files -o --exclude-standard '*.c') | sort -u); \
	if [ -z "$$files" ]; then echo "lint: no C source differs from $(LINT_BASE)"; exit 0; fi; \
	printf '%s\n' $$files | xargs -P $$(nproc) -I FILE clang-tidy --quiet FILE -- \
	        $(filter-out -MMD -MP,$(CFLAGS_ALL)) -Itests/lib -Itests/fakes

.PHONY: unit-bins
unit-bins: $(UNIT_BINS)

# --- hostile bytes: one program per tests/fuzz/fuzz_<target>.c --------------------------------------------------------
# BUILD=fuzz CC=clang links libFuzzer; every other build links a main that replays the corpus and fixed mutations of it.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_MAIN := $(if $(filter fuzz,$(BUILD)),,$(OUT)/obj/tests/fuzz/replay_main.o)
# The layers a target links; all of them when it has no line here.
FUZZ_LAYERS_canary := core
FUZZ_LAYERS_note := format core
FUZZ_LAYERS_tlog_proof := format core
FUZZ_LAYERS_sign_pem := core
FUZZ_LAYERS_tls := core
FUZZ_LAYERS_pattern := core
FUZZ_LAYERS_sql_file := client wire format core
FUZZ_LAYERS_traceparent := client store wire format core
FUZZ_LAYERS_sealed := client wire format core
FUZZ_LAYERS_saga_record := client wire format core
FUZZ_LAYERS_s3_xml := store core
$(foreach t,batch journal segment checkpoint,$(eval FUZZ_LAYERS_$(t) := format core))
FUZZ_LAYERS_archive_pack := format core
FUZZ_LAYERS_archive_manifest := store format core
FUZZ_LAYERS_archive_guard := archive store format io config core
FUZZ_LAYERS_archive_cluster := store format core
FUZZ_LAYERS_attestation := store format core
FUZZ_LAYERS_restoring := store format core
FUZZ_LAYERS_config := config core
FUZZ_LAYERS_http_basic := http core
FUZZ_LAYERS_http_tokens := http config core
FUZZ_LAYERS_otlp_answer := client store wire format core
FUZZ_LAYERS_access_record := auth config core
FUZZ_LAYERS_access_seal := format core
FUZZ_LAYERS_scram := auth config core
FUZZ_LAYERS_group_record := group core
FUZZ_LAYERS_lease_block := lease core
FUZZ_LAYERS_lease_record := lease format core
$(foreach t,index_run index_list,$(eval FUZZ_LAYERS_$(t) := stream format io config core))
FUZZ_LAYERS_consumer_protocol := client wire format core
$(foreach l,core format wire store,$(eval FUZZ_LAYERS_$(l) := $(l) core))
FUZZ_LAYERS_wire := audit config wire core
FUZZ_LAYERS_gate := gate sim server $(ALL_LAYERS)

define fuzz_rule
$(OUT)/bin/fuzz_$(1): $(OUT)/obj/tests/fuzz/fuzz_$(1).o $(FUZZ_MAIN) \
	        $(call lib,$(or $(FUZZ_LAYERS_$(1)),client $(ALL_LAYERS)))
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LD    $$@")
	$$(Q)$$(CC) $$(LDFLAGS_ALL) $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer) -o $$@ $$(call group_link,$$^) \
	        $$(LIBS_core) $$(LIBS_broker)
FUZZ_BINS += $(OUT)/bin/fuzz_$(1)
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t))))
$(OUT)/bin/fuzz_attestation: $(OUT)/obj/tools/evlog/attestation_note.o

# A small archive in a directory, for those who verify one.
$(OUT)/bin/make_archive: $(OUT)/obj/tests/archive/make_archive.o $(call lib,testlib store format core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core)

.PHONY: fuzz fuzz-bins fuzz-run fuzz-replay
fuzz-bins: $(FUZZ_BINS)

fuzz-replay: $(FUZZ_BINS)
	$(Q)$(PYTHON) tests/fuzz/run.py replay $^

fuzz-run: $(FUZZ_BINS)
	$(Q)$(PYTHON) tests/fuzz/run.py fuzz --seconds $(FUZZ_SECONDS) $^

fuzz:
	$(Q)$(MAKE) --no-print-directory OUT=$(OUT)/fuzz BUILD=fuzz CC=clang fuzz-run

# --- documents, measurements, demonstration -----------------------------------------------------------------------------
# Each generator takes the folder to write to; docs-check compares with what is committed.
GENERATORS := $(sort $(wildcard tools/gen/*.py))
.PHONY: docs docs-check bench demo sabotage
docs:
	@mkdir -p docs/generated
	$(Q)for generator in $(GENERATORS); do $(PYTHON) $$generator docs/generated || exit 1; done

docs-check:
	$(Q)if [ -z "$(GENERATORS)" ]; then echo "SKIP: no generator in tools/gen"; exit 0; fi; \
	rm -rf $(OUT)/generated; mkdir -p $(OUT)/generated; \
	for generator in $(GENERATORS); do $(PYTHON) $$generator $(OUT)/generated || exit 1; done; \
	diff -r docs/generated $(OUT)/generated || { echo "docs/generated is not what the tables say: run 'make docs'"; exit 1; }

# Programs built as a user builds them. The README shows publish.c behind its head comment.
define user_program
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(OPT_$(BUILD)) -Wall -Wextra -Werror -Iinclude -o $@ $(filter %.c,$^) $(OUT)/lib/libevlog.a $(LIBS_core) -pthread
endef
EXAMPLES := $(patsubst docs/examples/%.c,$(OUT)/examples/%,$(sort $(wildcard docs/examples/*.c))) $(OUT)/examples/order_service
$(OUT)/examples/order_service: $(sort $(wildcard docs/examples/order_service/*.[ch])) $(OUT)/lib/libevlog.a
	$(user_program)
$(OUT)/examples/%: docs/examples/%.c $(OUT)/lib/libevlog.a
	$(user_program)

.PHONY: examples
examples: $(EXAMPLES)
	$(Q)mkdir -p $(OUT)/examples; sed '1,/^ \*\/$$/d' docs/examples/publish.c >$(OUT)/examples/publish.shown; \
	sed -n '/^```c$$/,/^```$$/{/^```/!p}' README.md | diff $(OUT)/examples/publish.shown - || \
	    { echo "README.md shows another docs/examples/publish.c"; exit 1; }

docs-check: examples

# What tests of object stores call them with; they make it themselves.
$(OUT)/bin/store-driver: $(call obj,$(call src,tests/integration)) $(call lib,testlib store format core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core)

# What tests/compat needs besides stock clients; the tests make these targets themselves.
$(OUT)/compat/%: tests/compat/others/c/%.c $(OUT)/lib/libevlog.a
	$(user_program)

$(OUT)/compat/kafka/fetched: tests/compat/kafka/pom.xml
	@mkdir -p $(@D)
	$(Q)rm -f $(@D)/*.jar; cp $< $(@D)/pom.xml; cd $(@D) && \
	mvn -q -B -Dstyle.color=never -Dmaven.repo.local=$(abspath $(OUT))/compat/maven dependency:copy-dependencies \
	    -DincludeScope=runtime -DoutputDirectory=$(abspath $(@D)) && touch fetched

bench: all
	$(Q)test -x bench/run || { echo "bench: bench/run is not there"; exit 1; }
	$(Q)bench/run

demo: all
	$(Q)packaging/demo/demo.sh

sabotage:
	$(Q)env -u MAKEFLAGS -u MAKELEVEL $(PYTHON) tests/sabotage/run.py $(SABOTAGE)
