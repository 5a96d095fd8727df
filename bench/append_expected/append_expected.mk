# SPDX-License-Identifier: Apache-2.0
#
# make bench-append-expected    appends with an expected version beside PostgreSQL (bench/append_expected/run)
#
# `make deps` installs PostgreSQL; without it its rows are left out.

$(OUT)/append_expected/append_load: $(OUT)/obj/bench/append_expected/append_load.o $(call lib,bench) $(OUT)/lib/libevlog.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) -l:liburing.a -lpq

.PHONY: bench-append-expected bench-append-expected-bins
bench-append-expected-bins: deps-apt
	$(Q)$(MAKE) --no-print-directory OUT=$(OUT) $(OUT)/append_expected/append_load $(OUT)/bin/evlogd $(OUT)/peers/raw_load \
	    $(OUT)/bench/limits
bench-append-expected: bench-append-expected-bins
	$(Q)$(PYTHON) bench/append_expected/run --build=$(OUT) $(APPEND_ARGS)
.SECONDARY: $(OUT)/obj/bench/append_expected/append_load.o
