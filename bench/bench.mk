# SPDX-License-Identifier: Apache-2.0
#
# The benchmarks: one program for each bench/*.c, linked with the shared layers. `make bench` runs them (bench/run).

$(eval $(call archive_rule,bench,bench/lib))
BENCH_BINS := $(patsubst bench/%.c,$(OUT)/bench/%,$(wildcard bench/*.c))

# Those of the stream index measure code of the broker itself.
$(OUT)/bench/index_runs $(OUT)/bench/index_growth: $(call lib,stream io obs config)
# Those of replays and of TLS measure the library with the broker.
$(OUT)/bench/replay: $(call lib,client store)
$(OUT)/bench/tls: $(call lib,client store)
# Those of archives call object stores.
$(OUT)/bench/archive $(OUT)/bench/archive_memory $(OUT)/bench/archiving $(OUT)/bench/bucket $(OUT)/bench/restore: $(call lib,store)
$(OUT)/bench/verify: $(call lib,testlib store)
$(OUT)/bench/%: $(OUT)/obj/bench/%.o $(call lib,bench format wire core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) -l:liburing.a

.PHONY: bench-bins
bench-bins: $(BENCH_BINS) $(OUT)/bin/evlogd
bench: bench-bins
.SECONDARY: $(patsubst bench/%.c,$(OUT)/obj/bench/%.o,$(wildcard bench/*.c))
