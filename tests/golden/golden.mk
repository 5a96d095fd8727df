# SPDX-License-Identifier: Apache-2.0
#
# The programs that write the golden data directory and the golden stream index. By itself:
#   make -f Makefile -f tests/golden/golden.mk OUT=build build/bin/make_golden

$(OUT)/bin/make_golden: $(OUT)/obj/tests/golden/make_golden.o $(call lib,storage io obs config format core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) $(LIBS_broker)

$(OUT)/bin/make_index: $(OUT)/obj/tests/golden/make_index.o $(call lib,stream storage io obs config format core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) $(LIBS_broker)
