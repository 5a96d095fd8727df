# SPDX-License-Identifier: Apache-2.0
#
# make bench-peers    evlogd beside Apache Kafka and NATS JetStream, in one run (bench/peers/run)
# make deps-bench     what that needs besides `make deps`; NATS wants Go 1.26 or newer too, which Debian 12 has not
#
# Whatever is fetched, the caches of Maven and Go included, goes below $(OUT)/peers. A peer whose tool is not there is
# left out, and its rows say so.

PEERS := $(OUT)/peers
DEPS_BENCH_APT := librdkafka-dev             # the client whose rows a user's own producer would see
DEPS_BENCH_APT += openjdk-17-jre-headless    # Kafka runs on it
DEPS_BENCH_APT += maven                      # fetches Kafka
DEPS_BENCH_APT += rabbitmq-server            # beside work groups (bench/leases)

.PHONY: deps-bench
deps-bench: DEPS_APT += $(DEPS_BENCH_APT)
deps-bench: deps-apt

$(PEERS)/%: $(OUT)/obj/bench/peers/%.o $(call lib,bench format wire core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) -l:liburing.a $(LIBS_$(*F))
LIBS_rdkafka_load := -lrdkafka

$(PEERS)/kafka/fetched: bench/peers/kafka/pom.xml
	@mkdir -p $(@D)
	$(Q)if command -v mvn >/dev/null; then \
	    cp $< $(@D)/pom.xml; cd $(@D) && mvn -q -B -Dstyle.color=never -Dmaven.repo.local=$(abspath $(PEERS))/maven dependency:copy-dependencies \
	        -DincludeScope=runtime -DoutputDirectory=$(abspath $(@D)) && touch fetched; \
	else echo "bench-peers: no Maven, so no Kafka"; fi

$(PEERS)/nats/nats_load: bench/peers/nats/main.go bench/peers/nats/go.mod bench/peers/nats/go.sum
	@mkdir -p $(@D)
	$(Q)if command -v go >/dev/null; then \
	    cd bench/peers/nats && export GOMODCACHE=$(abspath $(PEERS))/go GOFLAGS="-buildvcs=false -modcacherw" && \
	    go build -o $(abspath $(@D))/nats-server github.com/nats-io/nats-server/v2 && go build -o $(abspath $@) .; \
	else echo "bench-peers: no Go, so no NATS"; fi

.PHONY: bench-peers bench-peers-bins
bench-peers-bins: $(PEERS)/raw_load $(PEERS)/rdkafka_load $(PEERS)/group_load $(PEERS)/kafka/fetched $(PEERS)/nats/nats_load \
	        $(OUT)/bin/evlogd
bench-peers: bench-peers-bins
	$(Q)$(PYTHON) bench/peers/run --build=$(OUT) $(PEERS_ARGS)
.SECONDARY: $(patsubst bench/peers/%.c,$(OUT)/obj/bench/peers/%.o,$(wildcard bench/peers/*.c))
