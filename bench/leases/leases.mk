# SPDX-License-Identifier: Apache-2.0
#
# make bench-leases    work groups beside NATS JetStream and RabbitMQ's quorum queues, in one run (bench/leases/run)
#
# `make deps-bench` installs RabbitMQ; NATS and the clients of both want Go 1.26 or newer. A peer that is not there is
# left out.

LEASES := $(OUT)/leases
$(LEASES)/lease_load: $(OUT)/obj/bench/leases/lease_load.o $(call lib,bench) $(OUT)/lib/libevlog.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) -l:liburing.a

$(LEASES)/peer_load: $(wildcard bench/leases/peer_load/*)
	@mkdir -p $(@D)
	$(Q)if command -v go >/dev/null; then \
	    cd bench/leases/peer_load && export GOMODCACHE=$(abspath $(PEERS))/go GOFLAGS="-buildvcs=false -modcacherw" && \
	    go build -o $(abspath $@) .; \
	else echo "bench-leases: no Go, so neither NATS nor RabbitMQ"; fi

.PHONY: bench-leases bench-leases-bins
bench-leases-bins: $(LEASES)/lease_load $(LEASES)/peer_load $(PEERS)/nats/nats_load $(OUT)/bin/evlogd
bench-leases: bench-leases-bins
	$(Q)$(PYTHON) bench/leases/run --build=$(OUT) $(LEASES_ARGS)
.SECONDARY: $(OUT)/obj/bench/leases/lease_load.o
