# SPDX-License-Identifier: Apache-2.0
#
# make deps     install what building and testing need (Debian 12, root)
# make          programs in build/bin, libraries in build/lib
# make demo     start evlogd, publish a real history, replay it to a point in time
# make quick    what every commit passes; make check: what CI runs; make check-all: the long run
#
# BUILD=release|asan|tsan|cov|fuzz   kind of build (release); each has its own output folder
# CC=gcc|clang                  compiler
# V=1                           show commands

# Every rule is here: make need not try its own on each file that a compiler has named.
MAKEFLAGS += --no-builtin-rules

BUILD ?= release
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
OUT ?= build$(if $(filter-out release,$(BUILD)),/$(BUILD))
VERSION := 0.1.0
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
	-Wvla -Wundef -Wimplicit-fallthrough -Wformat=2 -Wno-unused-parameter
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIC -fno-strict-overflow $(if $(filter release,$(BUILD)),-D_FORTIFY_SOURCE=2)
OPT_release := -O2 -g
OPT_asan := -O1 -g1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all -DEL_DEBUG
OPT_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all -DEL_DEBUG
OPT_tsan := -O1 -g -fsanitize=thread
OPT_cov := -O0 -g --coverage -DEL_DEBUG
# No path of the machine that builds is in what is built: the same source makes the same bytes anywhere.
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -ffile-prefix-map=$(CURDIR)=. -DEVLOG_VERSION='"$(VERSION)"' $(OPT_$(BUILD)) $(WARN) $(HARDEN) -MMD -MP -Iinclude -Ibroker $(CFLAGS)
LDFLAGS_ALL := $(OPT_$(BUILD)) -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -pthread $(LDFLAGS)

LIBS_core := -llz4 -lzstd -lsnappy -lz -lxxhash -lcbor -lmbedtls -lmbedx509 -lmbedcrypto -lsodium -ljansson -lm
STORES := sqlite postgres
LIBS_sqlite := -lsqlite3
LIBS_postgres := # loaded when it is used
LIBS_audit := -lmbedcrypto -lsodium -ljansson -llz4 -lzstd -lsnappy -lz -lxxhash -lstdc++ -lm
LIBS_broker := -l:liburing.a -lmicrohttpd -lseccomp

src = $(sort $(wildcard $(addsuffix /*.c,$(1))))
obj = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

# Layers, lowest first; each is one archive, and a unit-test program links its own layer and those before it.
CLIENT_LAYERS := core format wire store
CLIENT_DIRS_store := client/store/objects client/store/archive client/store/restore
BROKER_LAYERS := config obs io storage stream group lease archive redact auth access audit net api http

.PHONY: all
all: $(OUT)/bin/evlogd $(OUT)/bin/evlog $(OUT)/bin/evlog-audit $(OUT)/lib/libevlog.a $(OUT)/lib/libevlog.so.1 \
	$(foreach s,$(STORES),$(OUT)/lib/libevlog-$(s).a $(OUT)/lib/libevlog-$(s).so.1)

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(EXTRA_CFLAGS) -c -o $@ $<

# Programs of tests are many and run once: made with little optimisation they are ready sooner. Some of it finds
# variables that are not set, and texts that are cut.
$(OUT)/obj/tests/unit/%.o: EXTRA_CFLAGS += $(if $(filter asan,$(BUILD)),-O0,$(if $(filter release,$(BUILD)),-O1 -g1))

define archive_rule
SRC_$(1) := $(call src,$(2))
$(OUT)/lib/libel_$(1).a: $$(call obj,$$(SRC_$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(if $$(Q),@echo "  AR    $$@")
	$$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(CLIENT_LAYERS),$(eval $(call archive_rule,$(l),$(or $(CLIENT_DIRS_$(l)),client/$(l)))))
$(foreach l,$(BROKER_LAYERS),$(eval $(call archive_rule,$(l),broker/$(l))))
$(eval $(call archive_rule,client,client))
$(foreach s,$(STORES),$(eval $(call archive_rule,$(s),client/$(s))))
$(eval $(call archive_rule,server,broker))
$(eval $(call archive_rule,tools,tools/evlog))
$(eval $(call archive_rule,testlib,tests/lib))
$(eval $(call archive_rule,fakes,tests/fakes))
$(eval $(call archive_rule,gate,tests/gate))
$(eval $(call archive_rule,sim,tests/sim))
$(eval $(call archive_rule,exhaustive,tests/exhaustive))

lib = $(addprefix $(OUT)/lib/libel_,$(addsuffix .a,$(1)))
group_link = -Wl,--start-group $(1) -Wl,--end-group
# What the linker took from where: make sbom reads it.
map = -Wl,-Map=$(OUT)/map/$(@F).map

# --- programs and libraries -------------------------------------------------------------------------------------
LIBEVLOG_OBJ := $(call obj,$(foreach l,$(CLIENT_LAYERS),$(SRC_$(l))) $(SRC_client))

$(OUT)/lib/libevlog.a: $(LIBEVLOG_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(if $(Q),@echo "  AR    $@")
	$(Q)ar rcs $@ $^

$(OUT)/lib/libevlog.so.1: $(LIBEVLOG_OBJ) client/libevlog.map
	@mkdir -p $(@D) $(OUT)/map
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) -shared $(LDFLAGS_ALL) $(map) -Wl,-soname,libevlog.so.1 -Wl,--version-script=client/libevlog.map -o $@ $(LIBEVLOG_OBJ) $(LIBS_core)
	$(Q)ln -sf libevlog.so.1 $(OUT)/lib/libevlog.so

# Stores of projections are libraries of their own: a program links the database that it uses, and no other.
define store_rule
$(OUT)/lib/libevlog-$(1).a: $$(call obj,$$(SRC_$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(if $$(Q),@echo "  AR    $$@")
	$$(Q)ar rcs $$@ $$^

$(OUT)/lib/libevlog-$(1).so.1: $$(call obj,$$(SRC_$(1)) client/fail.c) $$(call lib,core wire) $(OUT)/lib/libevlog.so.1 \
	        client/$(1)/libevlog-$(1).map
	@mkdir -p $$(@D) $(OUT)/map
	$$(if $$(Q),@echo "  LD    $$@")
	$$(Q)$$(CC) -shared $$(LDFLAGS_ALL) $$(map) -Wl,-soname,libevlog-$(1).so.1 \
	    -Wl,--version-script=client/$(1)/libevlog-$(1).map -o $$@ $$(call obj,$$(SRC_$(1)) client/fail.c) \
	    $(OUT)/lib/libevlog.so.1 $$(call group_link,$$(call lib,core wire)) $$(LIBS_core) $(LIBS_$(1))
	$$(Q)ln -sf libevlog-$(1).so.1 $(OUT)/lib/libevlog-$(1).so
endef
$(foreach s,$(STORES),$(eval $(call store_rule,$(s))))

BROKER_LIBS := $(call lib,server $(BROKER_LAYERS) $(CLIENT_LAYERS))
$(OUT)/bin/evlogd: $(BROKER_LIBS)
	@mkdir -p $(@D) $(OUT)/map
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) $(map) -pie -o $@ $(call group_link,$(BROKER_LIBS)) $(LIBS_core) $(LIBS_broker)

$(OUT)/bin/evlog: $(call lib,tools $(STORES)) $(OUT)/lib/libevlog.a
	@mkdir -p $(@D) $(OUT)/map
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) $(map) -pie -o $@ $(call group_link,$^) $(LIBS_core) $(LIBS_sqlite)

# For auditors: one static file without code for the network, from what it needs of the lower layers.
$(OUT)/bin/evlog-audit: $(call obj,$(call src,tools/audit)) $(call lib,store format core)
	@mkdir -p $(@D) $(OUT)/map
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) $(map) $(if $(filter release,$(BUILD)),-static) -o $@ $(call group_link,$^) $(LIBS_audit)

# --- unit tests: tests/unit/<layer>/test_*.c become one program that links that layer and all below it --------------
ALL_LAYERS := $(CLIENT_LAYERS) $(BROKER_LAYERS)
upto = $(if $(filter $(1),$(firstword $(2))),$(firstword $(2)),$(firstword $(2)) $(call upto,$(1),$(wordlist 2,99,$(2))))
UNIT_LAYERS := $(notdir $(patsubst %/,%,$(sort $(dir $(wildcard tests/unit/*/test_*.c)))))
# tests/unit/server is of several layers together, as evlogd has them.
layer_libs = $(if $(filter server,$(1)),server $(ALL_LAYERS),$(if $(filter client,$(1)),client $(CLIENT_LAYERS),$(if $(filter sqlite,$(1)),sqlite client $(CLIENT_LAYERS),$(if $(filter tools,$(1)),tools $(STORES) client $(CLIENT_LAYERS),$(call upto,$(1),$(ALL_LAYERS))))))

# The tests of these layers run on the simulated machine.
unit_extra_storage := sim
unit_extra_stream := sim
unit_extra_archive := sim
unit_extra_redact := sim
unit_extra_access := sim
# Layers above it have a storage of a few arrays.
unit_extra_group := fakes
unit_extra_lease := fakes
# A simulated network, and a clock that stands still.
unit_extra_server := gate sim
# What the client works out of access rules is held against what the broker decides.
unit_extra_auth := client

define unit_rule
SRC_unit_$(1) := $(call src,tests/unit/$(1))
$(OUT)/bin/unit_$(1): $$(call obj,$$(SRC_unit_$(1))) $(call lib,testlib $(unit_extra_$(1)) $(call layer_libs,$(1)))
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LD    $$@")
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$(call group_link,$$^) -lcmocka $$(LIBS_core) $$(LIBS_broker) $(if $(filter sqlite tools,$(1)),$(LIBS_sqlite))
UNIT_BINS += $(OUT)/bin/unit_$(1)
endef
$(foreach l,$(UNIT_LAYERS),$(eval $(call unit_rule,$(l))))

# Those that take longest come first.
UNIT_LONG := $(filter $(addprefix %/unit_,store net stream format lease),$(UNIT_BINS))
.PHONY: unit
unit: $(UNIT_BINS)
	$(Q)tests/run-unit $(UNIT_LONG) $(filter-out $(UNIT_LONG),$(UNIT_BINS))

# --- simulator ------------------------------------------------------------------------------------------------------
SEEDS ?= 2000
$(OUT)/bin/evlog-sim: $(call lib,sim testlib server $(BROKER_LAYERS) $(CLIENT_LAYERS) testlib)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) $(LIBS_broker)

.PHONY: sim sim-broker sim-lease sim-stream sim-archive
sim: $(OUT)/bin/evlog-sim
	$(Q)$(OUT)/bin/evlog-sim --seeds $(SEEDS) $(SIM_FLAGS)

sim-broker: $(OUT)/bin/evlog-sim
	$(Q)$(OUT)/bin/evlog-sim --mode broker --seeds $(SEEDS) $(SIM_FLAGS)

sim-lease: $(OUT)/bin/evlog-sim
	$(Q)$(OUT)/bin/evlog-sim --mode lease --seeds $(SEEDS) $(SIM_FLAGS)

sim-stream: $(OUT)/bin/evlog-sim
	$(Q)$(OUT)/bin/evlog-sim --mode stream --seeds $(SEEDS) $(SIM_FLAGS)

sim-archive: $(OUT)/bin/evlog-sim
	$(Q)$(OUT)/bin/evlog-sim --mode archive --seeds $(SEEDS) $(SIM_FLAGS)

# Every crash of every small workload, every byte of a data directory changed.
$(OUT)/bin/evlog-exhaustive: $(call lib,exhaustive sim storage io obs config format core)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(call group_link,$^) $(LIBS_core) $(LIBS_broker)

CRASH_SLICE ?= 41
ROT_SLICE ?= 37
.PHONY: exhaustive
exhaustive: $(OUT)/bin/evlog-exhaustive
	$(Q)status=0; for space in "crash --slice $(CRASH_SLICE)" "rot --slice $(ROT_SLICE)"; do \
	    $< $$space --part 1/2 & first=$$!; $< $$space --part 2/2 || status=1; wait $$first || status=1; \
	done; exit $$status

# Trace hashes of the same seeds, built by both compilers.
HASH_SEEDS ?= 20
.PHONY: clang-sim sim-hash
clang-sim:
	$(Q)$(MAKE) --no-print-directory CC=clang CFLAGS=-g0 OUT=$(OUT)/clang-full $(OUT)/clang-full/bin/evlog-sim

sim-hash: $(OUT)/bin/evlog-sim clang-sim
	$(Q)for mode in store broker lease; do \
	    $(PYTHON) tests/sim/hashes.py --mode $$mode --seeds $(HASH_SEEDS) $(OUT)/bin/evlog-sim \
	        $(OUT)/clang-full/bin/evlog-sim || exit 1; done

# Checks, long runs, packaging and developer targets live beside the tests.
include bench/bench.mk
include bench/peers/peers.mk
include bench/leases/leases.mk
include bench/project/project.mk
include bench/append_expected/append_expected.mk
include tests/tests.mk
include packaging/packaging.mk

.PHONY: clean
clean:
	rm -rf build

-include $(shell test -d $(OUT)/obj && find $(OUT)/obj -name '*.d')
