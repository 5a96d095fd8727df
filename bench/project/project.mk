# SPDX-License-Identifier: Apache-2.0
#
# make bench-project    projections beside the same statements straight into SQLite and PostgreSQL (bench/project/run)
#
# `make deps` installs both databases; without PostgreSQL its rows are left out.

$(OUT)/project/project_load: $(OUT)/obj/bench/project/project_load.o $(call lib,bench) $(OUT)/lib/libevlog.a \
	        $(call lib,$(STORES))
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) -l:liburing.a -lsqlite3 -lpq

.PHONY: bench-project bench-project-bins
bench-project-bins: deps-apt
	$(Q)$(MAKE) --no-print-directory OUT=$(OUT) $(OUT)/project/project_load $(OUT)/bin/evlogd $(OUT)/peers/raw_load
bench-project: bench-project-bins
	$(Q)$(PYTHON) bench/project/run --build=$(OUT) $(PROJECT_ARGS)
.SECONDARY: $(OUT)/obj/bench/project/project_load.o
