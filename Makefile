# SPDX-License-Identifier: Apache-2.0
# Builds, tests and installs drsim. Sources are found by wildcard: a new file needs no line here.
#
# Variables: MODE=release|debug|asan|tsan|cov  PREFIX  DESTDIR  CC  CFLAGS  LDFLAGS  V=1  CI=1 (-Werror)
#            BUILD=build (root of all output)  FUZZ_SECONDS=30  DRILL_ARGS="--out DIR"  FILES="a.c b.c" (lint)
#            PAGES="a.html" (check-web)

MODE ?= release
PREFIX ?= /usr/local
BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?=
CLANG ?= clang
FUZZ_SECONDS ?= 30
DRILL_ARGS ?=
PAGES ?=

# A test program that starts the drsim binary many times says so in a line of its own, `/* valgrind: skip */`.
VALGRIND_SKIP = $(patsubst tests/%.c,%,$(shell grep -l '^/\* valgrind: skip \*/$$' /dev/null $(TEST_SRC)))

VERSION := $(file < VERSION)
B := $(BUILD)/$(MODE)
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-6s %s\n' '$(1)' '$(2)')

# ---- sources ----
LIB_SRC := $(filter-out core/main.c sim/minilepton/main.c,$(sort $(foreach d,core sim faults drivers reports,$(wildcard $(d)/*.c $(d)/*/*.c))))
MAIN_SRC := $(wildcard core/main.c)
# The stand-in platform is a program of its own: what the driver process starts as nodes.
LEPTON_SRC := $(wildcard sim/minilepton/main.c)
TEST_SRC := $(sort $(wildcard tests/test_*.c))
# Tests that start processes, servers and namespaces of their own: make check-real, and longer in make soak.
REAL_SRC := $(sort $(wildcard tests/real_*.c))
FUZZ_SRC := $(filter-out tests/fuzz_replay.c,$(sort $(wildcard tests/fuzz_*.c)))
BENCH_SRC := $(sort $(wildcard tests/bench_*.c))
# Those that run other tools beside ours: make bench-peers.
PEERS_SRC := $(sort $(wildcard tests/peers_*.c))
# Commands that bring writes to a data store, for tests of the line protocol: programs of their own.
ADAPTER_SRC := $(sort $(wildcard tests/adapter_*.c))
# Programs without a dynamic linker, and without anything of drsim.
STATIC_SRC := $(sort $(wildcard tests/static_*.c))
# Any other tests/*.c is shared by all test programs.
HELP_SRC := $(filter-out $(TEST_SRC) $(REAL_SRC) $(FUZZ_SRC) $(BENCH_SRC) $(PEERS_SRC) $(ADAPTER_SRC) $(STATIC_SRC) tests/fuzz_replay.c,$(sort $(wildcard tests/*.c)))
ALL_SRC := $(LIB_SRC) $(MAIN_SRC) $(LEPTON_SRC) $(TEST_SRC) $(REAL_SRC) $(FUZZ_SRC) $(BENCH_SRC) $(PEERS_SRC) $(ADAPTER_SRC) $(STATIC_SRC) $(HELP_SRC) $(wildcard tests/fuzz_replay.c)

LIB := $(B)/libdrsim.a
BIN := $(if $(MAIN_SRC),$(B)/drsim) $(if $(LEPTON_SRC),$(B)/minilepton)
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
TESTS := $(patsubst %.c,$(B)/%,$(TEST_SRC))
REALS := $(patsubst %.c,$(B)/%,$(REAL_SRC))
REPLAYS := $(patsubst tests/fuzz_%.c,$(B)/tests/replay_%,$(FUZZ_SRC))
FUZZERS := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
BENCHES := $(patsubst %.c,$(B)/%,$(BENCH_SRC))
PEERS := $(patsubst %.c,$(B)/%,$(PEERS_SRC))
ADAPTERS := $(patsubst %.c,$(B)/%,$(ADAPTER_SRC))
STATICS := $(patsubst %.c,$(B)/%,$(STATIC_SRC))

# ---- flags: the project's own first, then the mode's, then the user's CFLAGS ----
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wvla
# A fused multiply-add would make results depend on the machine: -ffp-contract=off.
PROJECT_FLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) $(if $(CI),-Werror) -ffp-contract=off -pthread \
	-DDRSIM_VERSION='"$(VERSION)"' -DDRSIM_DATADIR='"$(PREFIX)/share/drsim"' $(PKG_CFLAGS)
MODE_release := -O2 -g
MODE_debug := -O0 -g
MODE_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
MODE_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
MODE_cov := -O0 -g --coverage
MODE_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
MODE_FLAGS := $(MODE_$(MODE))
ifeq ($(MODE_FLAGS),)
$(error unknown MODE '$(MODE)': release, debug, asan, tsan or cov)
endif
ALL_FLAGS = $(PROJECT_FLAGS) $(MODE_FLAGS) $(CFLAGS)

# pkg-config runs at the first use only, since `make deps` may have to install it before.
once = $(eval $(1) := $(2))$($(1))
# What drsim loads at the first use, by core/lazy.h, is compiled with but not linked to it.
LIBRARIES := yaml-0.1 libcjson libcrypto liblz4 libxxhash libmicrohttpd
LAZY_LIBRARIES := libcurl libpcap libnl-route-3.0 libseccomp libnftables fuse3 sqlite3
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(shell pkg-config --cflags $(LIBRARIES) $(LAZY_LIBRARIES)))
PKG_LIBS = $(call once,PKG_LIBS,$(shell pkg-config --libs $(LIBRARIES)))
LAZY_LIBS = $(call once,LAZY_LIBS,$(shell pkg-config --libs $(LAZY_LIBRARIES)))
CHECK_LIBS = $(call once,CHECK_LIBS,$(shell pkg-config --libs check))
LINK = $(CC) $(MODE_FLAGS) $(CFLAGS) $(LDFLAGS) -pthread
# Each program loads only the libraries that it calls: starting must stay quick.
LIBS = -Wl,--as-needed $(PKG_LIBS) -lm -lpthread -ldl

# ---- what people call ----
.PHONY: all help deps drill check check-real check-web soak asan tsan valgrind fuzz bench bench-peers lint coverage install
.PHONY: uninstall dist clean format deps-dev deps-real deps-guest deps-web check-run check-real-run check-web-run bench-peers-run valgrind-run fuzz-run bench-run coverage-run tests FORCE
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

all: $(LIB) $(BIN)
	$(Q)ci/layers.sh

help:
	@echo 'make all         build $(B)/drsim and $(LIB) (installs nothing)'
	@echo 'make deps        install what building and testing need (Debian, apt)'
	@echo 'make drill       set everything up and run scenarios/gpu_loss.yaml'
	@echo 'make check       set everything up and run all tests'
	@echo 'make check-real  tests that start processes, servers and namespaces of their own, and end them'
	@echo 'make check-web   pages in a browser: layout, contrast, keyboard, print (PAGES=... for these only)'
	@echo 'make deps-guest  an emulator and a kernel for tests in a guest (43 MB to download)'
	@echo 'make soak        the same for longer: hundreds of kills'
	@echo 'make asan tsan   make check under AddressSanitizer + UBSan, ThreadSanitizer'
	@echo 'make valgrind    the unit tests under valgrind'
	@echo 'make fuzz        each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (clang)'
	@echo 'make bench       the benchmarks, -O2'
	@echo 'make bench-peers backup and restore beside restic and borg'
	@echo 'make lint        layer rules, style, clang-tidy, cppcheck (FILES=... for some files only)'
	@echo 'make format      clang-format in place, FILES=... for some files only'
	@echo 'make coverage    line coverage of make check (gcovr)'
	@echo 'make install uninstall   PREFIX=$(PREFIX) DESTDIR='
	@echo 'make dist clean'
	@echo 'Variables: MODE=release|debug|asan|tsan|cov CC CFLAGS LDFLAGS PREFIX DESTDIR BUILD V=1 CI=1'

deps:
	$(Q)ci/deps.sh

deps-real:
	$(Q)ci/deps.sh --real

# Without it the test in a guest is skipped and says so.
deps-guest:
	$(Q)ci/deps.sh --guest $(BUILD)/guest

deps-dev:
	$(Q)ci/deps.sh --dev

deps-web:
	$(Q)ci/deps.sh --web

drill: deps
	$(Q)$(MAKE) --no-print-directory MODE=release all
	$(BUILD)/release/drsim run scenarios/gpu_loss.yaml $(DRILL_ARGS)

check: deps
	$(Q)$(MAKE) --no-print-directory check-run

check-real: deps-real
	-$(Q)$(MAKE) --no-print-directory deps-guest
	$(Q)$(MAKE) --no-print-directory check-real-run

check-web: deps-web
	$(Q)$(MAKE) --no-print-directory MODE=release check-web-run

soak: deps-real
	$(Q)DRSIM_SOAK=1 $(MAKE) --no-print-directory check-real-run

asan tsan:
	$(Q)$(MAKE) --no-print-directory MODE=$@ check

valgrind: deps-dev
	$(Q)$(MAKE) --no-print-directory MODE=debug valgrind-run

fuzz: deps-dev
	$(Q)$(MAKE) --no-print-directory MODE=fuzz CC=$(CLANG) fuzz-run

bench: deps
	$(Q)$(MAKE) --no-print-directory MODE=release bench-run

bench-peers: deps-real
	$(Q)$(MAKE) --no-print-directory MODE=release bench-peers-run

coverage: deps-dev
	$(Q)$(MAKE) --no-print-directory MODE=cov coverage-run

# All checks run even when one of them finds something. FILES="a.c b.c" looks at these only.
FILES ?= $(ALL_SRC)
lint: deps-dev
	$(Q)$(MAKE) --no-print-directory MODE=$(MODE) all
	$(Q)rc=0; ci/layers.sh || rc=1; \
	ci/style.sh $(if $(filter command%,$(origin FILES)),$(FILES)) || rc=1; \
	ci/globals.sh $(LIB) || rc=1; \
	printf '%s\n' $(FILES) | xargs -r -P 2 -I {} clang-tidy --quiet {} -- $(ALL_FLAGS) 2>/dev/null || rc=1; \
	cppcheck --quiet -j 2 --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--library=posix,gnu --suppress=missingIncludeSystem --suppress=readdirCalled -D_GNU_SOURCE -DDRSIM_VERSION='""' -DDRSIM_DATADIR='""' \
		'-DcJSON_ArrayForEach(item,list)=while ((item = cJSON_GetArrayItem(list, 0)))' \
		'-DSTART_TEST(name)=static void name(int _i)' -DEND_TEST= -I. $(FILES) || rc=1; \
	[ $$rc -eq 0 ] && echo 'lint: no finding'

format: deps-dev
	clang-format -i $(FILES)

# MODE:FILE:WHERE. What uninstall takes back is this and no more, and no folder but drsim's own when they are empty.
HELPS := $(addprefix $(B)/pages/,drsim.1 drsim _drsim)
SHARED := $(sort $(wildcard scenarios/*.yaml scenarios/*.json scenarios/traces/* reports/*.yaml reports/*.json ci/*.yml ci/Jenkinsfile))
INSTALLED = $(foreach f,$(BIN),755:$f:bin/$(notdir $f)) $(foreach f,$(SHARED),644:$f:share/drsim/$f) \
	644:$(B)/pages/drsim.1:share/man/man1/drsim.1 644:$(B)/pages/drsim:share/bash-completion/completions/drsim \
	644:$(B)/pages/_drsim:share/zsh/site-functions/_drsim

install: all $(HELPS)
	$(Q)set -e; for entry in $(INSTALLED); do \
		mode=$${entry%%:*}; rest=$${entry#*:}; echo "  INSTALL $(PREFIX)/$${rest#*:}"; \
		install -D -m $$mode "$${rest%%:*}" '$(DESTDIR)$(PREFIX)'/"$${rest#*:}"; \
	done

uninstall:
	$(Q)for entry in $(INSTALLED); do rm -f '$(DESTDIR)$(PREFIX)'/"$${entry##*:}"; done
	$(Q)for folder in /scenarios/traces /scenarios /reports /ci ''; do \
		[ ! -d '$(DESTDIR)$(PREFIX)/share/drsim'$$folder ] || \
			rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(PREFIX)/share/drsim'$$folder; \
	done

dist:
	@mkdir -p $(BUILD)
	git archive --prefix=drsim-$(VERSION)/ HEAD | gzip -n >$(BUILD)/drsim-$(VERSION).tar.gz
	@echo $(BUILD)/drsim-$(VERSION).tar.gz

clean:
	rm -rf $(BUILD)

# ---- second steps, after deps ----
tests: $(BIN) $(TESTS) $(REPLAYS)

check-run: all tests
	$(Q)DRSIM=$(B)/drsim DRSIM_BUILD=$(B) ci/check.sh $(TESTS) $(REPLAYS)

check-real-run: all $(REALS) $(ADAPTERS) $(STATICS)
	$(Q)DRSIM=$(B)/drsim DRSIM_BUILD=$(B) CHECK_AGAIN=1 ci/check.sh $(REALS)

# The browser's libraries go under $(BUILD) as the lock has them; nothing is written beside the tests.
$(BUILD)/web/installed: tests/web/package.json tests/web/package-lock.json tests/web/.npmrc
	$(call say,NPM,$(@D)/node_modules)
	$(Q)mkdir -p $(@D) && cp $^ $(@D)/ && cd $(@D) && npm ci --silent && touch installed

check-web-run: all $(BUILD)/web/installed
	$(Q)DRSIM=$(B)/drsim BUILD=$(BUILD) node tests/web/check.mjs $(PAGES)

valgrind-run: all $(TESTS)
	$(Q)DRSIM=$(B)/drsim DRSIM_BUILD=$(B) CK_FORK=no \
		CHECK_WRAP='valgrind -q --error-exitcode=9 --leak-check=full' \
		ci/check.sh $(filter-out $(addprefix $(B)/tests/,$(VALGRIND_SKIP)),$(TESTS))
	@echo 'valgrind: left out: $(if $(strip $(VALGRIND_SKIP)),$(strip $(VALGRIND_SKIP)),none)'

fuzz-run: $(FUZZERS)
	$(Q)set -e; for fuzzer in $(FUZZERS); do \
		name=$${fuzzer##*/fuzz_}; mkdir -p $(B)/corpus/$$name; \
		echo "fuzz $$name: $(FUZZ_SECONDS) s"; \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(B)/$$name- $(B)/corpus/$$name tests/corpus/$$name; \
	done; echo "fuzz: $(words $(FUZZERS)) targets, no finding"

bench-run: all $(BENCHES) $(STATICS)
	$(Q)set -e; for bench in $(BENCHES); do echo "== $${bench##*/}"; DRSIM=$(B)/drsim DRSIM_BUILD=$(B) $$bench; done

bench-peers-run: all $(PEERS)
	$(Q)set -e; for bench in $(PEERS); do echo "== $${bench##*/}"; DRSIM=$(B)/drsim DRSIM_BUILD=$(B) $$bench; done

coverage-run: check-run
	gcovr --root . --object-directory $(B) --exclude 'tests/' --print-summary

# ---- how things are made ----
# The stamp changes when the compiler or its flags change; the list when a source appears or goes.
define stamp_rule
$(1): export STAMP = $(2)
$(1): FORCE
	@mkdir -p $$(@D); printf '%s\n' "$$$$STAMP" | cmp -s - $$@ || printf '%s\n' "$$$$STAMP" >$$@
endef
$(eval $(call stamp_rule,$(B)/flags,$$(CC) $$(ALL_FLAGS) $$(LDFLAGS)))
$(eval $(call stamp_rule,$(B)/sources,$$(LIB_SRC) : $$(HELP_SRC)))

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_FLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(call obj,$(LIB_SRC)) $(B)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/drsim: $(call obj,core/main.c) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# From the tables of commands.
$(B)/pages/drsim.1: AS := man
$(B)/pages/drsim: AS := bash
$(B)/pages/_drsim: AS := zsh
$(HELPS): $(B)/drsim
	@mkdir -p $(@D)
	$(call say,PAGE,$@)
	$(Q)$(B)/drsim help --as $(AS) >$@

# The stand-in platform's servers all call libcurl: there it is linked.
$(B)/minilepton: $(call obj,sim/minilepton/main.c) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(LAZY_LIBS)

$(TESTS) $(REALS) $(BENCHES) $(PEERS) $(ADAPTERS): $(B)/tests/%: $(B)/obj/tests/%.o $(call obj,$(HELP_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(CHECK_LIBS) $(LIBS) $(LAZY_LIBS)

$(STATICS): $(B)/%: %.c tests/storm.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) $(if $(CI),-Werror) -O2 -static -o $@ $<

$(REPLAYS): $(B)/tests/replay_%: $(B)/obj/tests/fuzz_%.o $(B)/obj/tests/fuzz_replay.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(FUZZERS): $(B)/tests/%: $(B)/obj/tests/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -fsanitize=fuzzer,address,undefined $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(LIBS)

.SECONDARY:
-include $(patsubst %.o,%.d,$(call obj,$(ALL_SRC)))
