# Gregor. `make help` lists the targets.
#
# Every C file below client/, broker/, sim/ and reports/ belongs to a folder, every folder to a
# layer, every layer to an archive; programs and tests link archives. Variants (asan, tsan, ...)
# are the same build in another directory: build/<variant>/.

VARIANT ?= release
ifeq ($(origin CC),default)
CC      := gcc
endif
B       := build/$(VARIANT)
Q       := @

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wpointer-arith -Wcast-align -Wcast-qual \
        -Wwrite-strings -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion \
        -Wfloat-equal -Wdate-time -Werror
ifneq (,$(findstring clang,$(CC)))
WARN += -Wcomma -Wassign-enum -Wconditional-uninitialized -Wunreachable-code \
        -Wcovered-switch-default -Wextra-semi-stmt -Wmissing-variable-declarations
else
WARN += -Wold-style-definition -Wduplicated-cond -Wduplicated-branches -Wlogical-op \
        -Wjump-misses-init -Walloca -Wtrampolines -Wbidi-chars -Wredundant-decls -Wnested-externs
endif

# -ffp-contract=off and no -march: one result on every machine (simulation.md 2.2).
BASEFLAGS := -std=c17 -g -fno-common -ffp-contract=off -MMD -MP -I. -I$(B)/gen
OPT_release := -O2
OPT_debug   := -O0
OPT_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT_cover   := -O0 --coverage -DNDEBUG_COVERAGE
OPT_clang   := -O2
OPT_clang0  := -O0
OPT_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
               -fno-omit-frame-pointer
OPT         := $(OPT_$(VARIANT))
CFLAGS      ?=
ALLFLAGS    := $(BASEFLAGS) $(OPT) $(WARN) $(CFLAGS)
LDFLAGS     ?=
ALLLD       := $(OPT) $(LDFLAGS)

CODECS := -lz -llz4 -lzstd -lsnappy
YAML   := -lfyaml

# ---- layers -------------------------------------------------------------------------------
GENLIST   := $(wildcard client/wire/schema/*.txt client/wire/schema/*/*.txt)
SRC_base  := $(wildcard client/base/*.c)
SRC_world := $(wildcard client/world/*.c)
SRC_wire  := $(wildcard client/wire/*.c)
SRC_posix := $(wildcard client/posix/*.c)
SRC_client:= $(filter-out client/gregor%.c,$(wildcard client/*.c))
SRC_gregor:= $(wildcard client/gregor*.c)
SRC_cli   := $(wildcard client/cli/*.c)
SRC_broker:= $(filter-out broker/main.c,$(wildcard broker/*.c broker/*/*.c))
SRC_sim   := $(filter-out sim/main.c,$(wildcard sim/*.c sim/*/*.c))
SRC_reports := $(wildcard reports/*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
OBJ_core    := $(call obj,$(SRC_base) $(SRC_world) $(SRC_wire))
OBJ_posix   := $(call obj,$(SRC_posix))
OBJ_client  := $(call obj,$(SRC_client))
OBJ_gregor  := $(call obj,$(SRC_gregor))
OBJ_cli     := $(call obj,$(SRC_cli))
OBJ_broker  := $(call obj,$(SRC_broker))
OBJ_sim     := $(call obj,$(SRC_sim))
OBJ_reports := $(call obj,$(SRC_reports))

.PHONY: all
all: need programs

-include client/wire/wire.mk

$(B)/obj/%.o: %.c | $(GEN_READY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLFLAGS) -c $< -o $@

# System calls exist in client/posix, the programs' main files, the simulator's runner and tests.
$(B)/obj/client/posix/%.o $(B)/obj/client/cli/%.o $(OBJ_gregor) $(B)/obj/sim/%.o $(B)/obj/reports/%.o \
$(B)/obj/broker/main.o $(B)/obj/tests/%.o: ALLFLAGS += -D_GNU_SOURCE

$(B)/lib%.a:
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/libcore.a: $(OBJ_core) $(OBJ_gen)
$(B)/libposix.a: $(OBJ_posix)
$(B)/libclient.a: $(OBJ_client)
$(B)/libglue.a: $(OBJ_gregor)
$(B)/libbroker.a: $(OBJ_broker)
$(B)/libsim.a: $(OBJ_sim)
$(B)/libreports.a: $(OBJ_reports)

LIBS_BROKER := $(B)/libbroker.a $(B)/libclient.a $(B)/libcore.a
LIBS_ALL    := $(B)/libglue.a $(B)/libsim.a $(B)/libreports.a $(LIBS_BROKER) $(B)/libposix.a $(B)/libcore.a
LINK_ALL     = -Wl,--start-group $(LIBS_ALL) -Wl,--end-group $(CODECS) $(YAML) -lpthread

$(B)/gregor-broker: $(B)/obj/broker/main.o $(LIBS_BROKER) $(B)/libposix.a
	$(Q)$(CC) $(ALLLD) -o $@ $< -Wl,--start-group $(LIBS_BROKER) $(B)/libposix.a -Wl,--end-group $(CODECS) -lpthread
$(B)/gregor-sim: $(B)/obj/sim/main.o $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(LINK_ALL)
$(B)/gregor: $(OBJ_cli) $(B)/libglue.a $(B)/libclient.a $(B)/libcore.a $(B)/libposix.a
	$(Q)$(CC) $(ALLLD) -o $@ $(OBJ_cli) -Wl,--start-group $(B)/libglue.a $(B)/libclient.a $(B)/libcore.a $(B)/libposix.a -Wl,--end-group $(CODECS) -lpthread

PROGRAMS := $(if $(wildcard broker/main.c),gregor-broker) $(if $(wildcard sim/main.c),gregor-sim) \
            $(if $(wildcard client/cli/main.c),gregor)
.PHONY: programs
programs: $(addprefix $(B)/,$(PROGRAMS))
ifeq ($(VARIANT),release)
	@mkdir -p build; for p in $(PROGRAMS); do ln -sf release/$$p build/$$p; done
endif

# ---- what people type ---------------------------------------------------------------------
# To build and to run; what tests need besides.
PACKAGES_BUILD := gcc libc6-dev make pkg-config libfyaml-dev zlib1g-dev liblz4-dev libzstd-dev \
                  libsnappy-dev
PACKAGES_RUN   := $(PACKAGES_BUILD) graphviz
PACKAGES_TEST  := $(PACKAGES_RUN) libcmocka-dev clang clang-format python3

.PHONY: need run test bench check-wire golden golden-check determinism fuzz mutants known-failures lint format asan tsan coverage clang help install
need:
	@sh tests/packages.sh check $(PACKAGES_BUILD)

run:
	@sh tests/packages.sh install $(PACKAGES_RUN)
	$(Q)$(MAKE) --no-print-directory programs
	build/gregor-sim run scenarios/*.yaml scenarios/known-failures/*.yaml scenarios/regressions/*.yaml --trace full --out build/report
	@echo "build/report/index.html"

test:
	@sh tests/packages.sh install $(PACKAGES_TEST)
	$(Q)$(MAKE) --no-print-directory programs unit-programs
	$(Q)$(MAKE) --no-print-directory lint
	$(Q)$(MAKE) --no-print-directory check-wire check-scenarios fuzz-replay
	$(Q)$(MAKE) --no-print-directory determinism DETERMINISM_SEEDS=1..3
	$(Q)$(MAKE) --no-print-directory golden-check
	$(Q)$(MAKE) --no-print-directory reports-test
	$(Q)sh tests/replay.sh $(B)
	$(Q)sh tests/run_unit.sh $(UNIT) $(CONF)

# Our schemas against Kafka's, where those are at hand; what the generator refuses.
check-wire: programs
	$(Q)python3 tests/check_schemas.py
	$(Q)sh tests/check_generator.sh $(B)/gen/wiregen

# Every scenario against the schema for editors, where python3-jsonschema and python3-yaml are.
check-scenarios: programs
	$(Q)python3 tests/check_scenarios.py build/gregor-sim scenarios/*.yaml scenarios/*/*.yaml

# The part of scenarios/README.md that is made from the tables of the language.
reference: programs
	$(Q)python3 tests/reference.py build/gregor-sim scenarios/README.md

# The same runs from every build: compilers, optimisation, sanitizers (tests/determinism.sh).
DETERMINISM_SEEDS     ?= 1..200
DETERMINISM_SCENARIOS ?= scenarios/leader-power-loss.yaml
DETERMINISM_JOBS      ?= $(shell nproc)
.PHONY: determinism-builds determinism-debug determinism-asan determinism-clang determinism-clang0
# All at once, with one job server; what a compiler says stays together.
determinism-builds: determinism-debug determinism-asan determinism-clang determinism-clang0
determinism-debug determinism-asan: determinism-%:
	$(Q)+$(MAKE) --no-print-directory -s VARIANT=$* build/$*/gregor-sim
determinism-clang determinism-clang0: determinism-%:
	$(Q)+$(MAKE) --no-print-directory -s CC=clang VARIANT=$* build/$*/gregor-sim
determinism:
	$(Q)$(MAKE) --no-print-directory -s -j $(DETERMINISM_JOBS) --output-sync=target determinism-builds
	$(Q)for s in $(DETERMINISM_SCENARIOS); do sh tests/determinism.sh $(DETERMINISM_SEEDS) $$s \
	  build/gregor-sim build/debug/gregor-sim build/asan/gregor-sim build/clang/gregor-sim \
	  build/clang0/gregor-sim || exit 1; done
	$(Q)command -v valgrind >/dev/null || { echo "determinism: no valgrind here"; exit 0; }; \
	  sh tests/determinism.sh 1..2 $(firstword $(DETERMINISM_SCENARIOS)) build/gregor-sim \
	  tests/under_valgrind.sh

# Has the behaviour moved? The hashes of a few runs against those in tests/golden/runs.txt; `make
# golden` takes those of this tree, when that is meant (simulation.md 2.4).
golden golden-check: programs
	$(Q)sh tests/golden_runs.sh $(if $(filter golden,$@),write,check) build/gregor-sim

# Fresh seeds over the library, wide determinism, damaged bytes.
FUZZ_SEEDS ?= 1000..1199
fuzz: programs
	build/gregor-sim fuzz scenarios/*.yaml --seeds $(FUZZ_SEEDS) --keep-going --out build/fuzz
	$(Q)$(MAKE) --no-print-directory determinism
	$(Q)$(MAKE) --no-print-directory VARIANT=asan fuzz-replay

# How many of the defects in tests/mutants/ campaigns of up to MUTANT_SECONDS of CPU each find; what was
# judged is kept while broker/ client/ sim/ scenarios/ stand, so that it may be interrupted.
# The score goes to build/mutants/score.txt.
MUTANT_SECONDS ?= 600
MUTANT_JOBS    ?= 1
mutants: programs
	$(Q)python3 tests/mutants/run.py --seconds $(MUTANT_SECONDS) --jobs $(MUTANT_JOBS) \
	  --score build/mutants/score.txt

# Each scenario of scenarios/known-failures/ passes, and fails with the defect that it is about.
known-failures: programs
	$(Q)python3 tests/mutants/known.py

# Every known hole of storage and every disk fault: what the table of broker/log/README.md names, run.
.PHONY: holes
holes: programs unit-programs
	$(Q)python3 tests/check_holes.py --run $(B) build/gregor-sim

lint: programs
	$(Q)sh tests/lint.sh $(B)

format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

asan tsan:
	$(Q)$(MAKE) --no-print-directory VARIANT=$@ unit
clang:
	$(Q)$(MAKE) --no-print-directory CC=clang VARIANT=clang unit
coverage:
	@sh tests/packages.sh install $(PACKAGES_TEST) gcovr
	$(Q)$(MAKE) --no-print-directory VARIANT=cover unit
	gcovr --root . --exclude tests/ --exclude build/ --print-summary build/cover

# ---- the client library ---------------------------------------------------------------------
# Everything below client/ but the command, once more as position-independent code. Only what
# gregor.h declares is visible, in the shared library and in the static one: that is one object,
# linked beforehand.
GREGOR_VERSION := $(shell sed -n 's/^.define GREGOR_VERSION "\(.*\)"/\1/p' client/gregor.h)
GREGOR_SONAME  := libgregor.so.$(firstword $(subst ., ,$(GREGOR_VERSION)))
OBJ_library    := $(patsubst $(B)/obj/%,$(B)/pic/%,$(OBJ_gregor) $(OBJ_client) $(OBJ_core) \
                  $(OBJ_posix) $(OBJ_gen))
PICFLAGS       := -fPIC -fvisibility=hidden

$(B)/pic/gen/%.o: $(B)/gen/%.c | $(GEN_READY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLFLAGS) $(PICFLAGS) -c $< -o $@
$(B)/pic/%.o: %.c | $(GEN_READY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLFLAGS) -D_GNU_SOURCE $(PICFLAGS) -c $< -o $@
$(B)/libgregor.a: $(OBJ_library)
	$(Q)$(LD) -r -o $(B)/pic/gregor.o $^
	$(Q)objcopy --localize-hidden $(B)/pic/gregor.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/pic/gregor.o
$(B)/libgregor.so: $(OBJ_library)
	$(Q)$(CC) $(ALLLD) -shared -Wl,-soname,$(GREGOR_SONAME) -Wl,-z,defs -o $@ $^ $(CODECS) -lpthread

.PHONY: library
library: $(B)/libgregor.a $(B)/libgregor.so

FRONTS := $(notdir $(wildcard client/cli/kafka-*.sh))

PREFIX  ?= /usr/local
DESTDIR ?=
LIBDIR  ?= $(PREFIX)/lib
install: programs library
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 755 $(addprefix $(B)/,$(PROGRAMS)) $(addprefix client/cli/,$(FRONTS)) \
	  $(DESTDIR)$(PREFIX)/bin/
	install -m 644 client/gregor.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(B)/libgregor.a $(DESTDIR)$(LIBDIR)/
	install -m 755 $(B)/libgregor.so $(DESTDIR)$(LIBDIR)/libgregor.so.$(GREGOR_VERSION)
	ln -sf libgregor.so.$(GREGOR_VERSION) $(DESTDIR)$(LIBDIR)/$(GREGOR_SONAME)
	ln -sf $(GREGOR_SONAME) $(DESTDIR)$(LIBDIR)/libgregor.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(GREGOR_VERSION)|' \
	  client/gregor.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/gregor.pc

help:
	@echo "make            builds build/gregor-broker, build/gregor-sim, build/gregor"
	@echo "make run        installs what is missing, builds, runs the scenario library: build/report/index.html"
	@echo "make test       installs what is missing, builds and passes all tests"
	@echo "make asan tsan clang coverage   the unit tests in that variant"
	@echo "make bench      CPU, memory and time to start, against their bars"
	@echo "make fuzz                       fresh seeds, determinism over 200 seeds and 5 builds, damaged bytes"
	@echo "make holes                      known holes of storage, disk faults: what shows each closed, run"
	@echo "make known-failures             failures of Kafka's history: survived, and noticed when planted"
	@echo "make golden                     takes the hashes of a few runs for those that are meant"
	@echo "make mutants                    how many planted defects the scenarios find"
	@echo "make interop                    real clients against real processes (kcat, python3-kafka)"
	@echo "make reports-test              pages and exports from outside, in a browser if chromium is there"
	@echo "make gallery                   draws the samples of reports/gallery/ again"
	@echo "make lint format                the structural checks; clang-format over everything"
	@echo "make library                    build/release/libgregor.a and .so"
	@echo "make install DESTDIR= PREFIX=   the programs, the client library, Kafka's command names"
	@echo "make clean"

# ---- tests --------------------------------------------------------------------------------
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*_test.c tests/unit/*/*_test.c tests/unit/*/*/*_test.c))
SUPPORT := $(call obj,$(wildcard tests/support/*.c))
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(SUPPORT) $(LIBS_ALL)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(SUPPORT) $(LINK_ALL) -lcmocka
# One suite for every world: tests/conformance/*.c without the <world>_main.c, which bring a harness.
CONF_MAINS := $(wildcard tests/conformance/*_main.c)
CONF_SUITE := $(call obj,$(filter-out $(CONF_MAINS),$(wildcard tests/conformance/*.c)))
CONF       := $(patsubst tests/conformance/%_main.c,$(B)/conformance-%,$(CONF_MAINS))
$(B)/conformance-%: $(B)/obj/tests/conformance/%_main.o $(CONF_SUITE) $(SUPPORT) $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(CONF_SUITE) $(SUPPORT) $(LINK_ALL) -lcmocka

# Traces that no run makes, for tests/reports and the gallery.
$(B)/report-traces: $(B)/obj/tests/reports/traces.o $(SUPPORT) $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(SUPPORT) $(LINK_ALL) -lcmocka

.PHONY: reports-test
reports-test: programs $(B)/report-traces
	$(Q)python3 tests/reports/run.py

# The committed samples of reports/gallery/.
.PHONY: gallery
gallery: programs $(B)/report-traces
	$(Q)sh reports/gallery/make.sh build $(B)/report-traces

# The floor of the production world (client/posix/README.md).
$(B)/posix-echo: $(B)/obj/tests/bench/posix_echo.o $(B)/libposix.a $(B)/libcore.a
	$(Q)$(CC) $(ALLLD) -o $@ $< -Wl,--start-group $(B)/libposix.a $(B)/libcore.a -Wl,--end-group $(CODECS) -lpthread

# Real processes and the clients that Debian ships; INTEROP_LONG=1: minutes of failovers.
PACKAGES_INTEROP := kcat python3 python3-kafka python3-confluent-kafka python3-snappy python3-lz4
.PHONY: interop
interop:
	@sh tests/packages.sh install $(PACKAGES_BUILD) $(PACKAGES_INTEROP)
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)/usr/bin/python3 tests/interop/run.py
	$(Q)sh tests/interop/groups.sh build
	$(Q)sh tests/interop/groups_mixed.sh build
	$(Q)python3 tests/reports/run.py brokers

# Figures, never failures: tests/bench/run.sh says what is measured, and how.
$(B)/bench-%: $(B)/obj/tests/bench/%.o $(B)/obj/tests/bench/frame.o
	$(Q)$(CC) $(ALLLD) -o $@ $^

# Our producer and librdkafka's (where librdkafka-dev is), against our broker.
$(B)/bench-producer-gregor: $(B)/obj/tests/bench/producer_gregor.o $(B)/obj/tests/bench/producer_main.o $(B)/libgregor.a
	$(Q)$(CC) $(ALLLD) -o $@ $^ $(CODECS) -lpthread
$(B)/bench-producer-rdkafka: $(B)/obj/tests/bench/producer_rdkafka.o $(B)/obj/tests/bench/producer_main.o
	$(Q)$(CC) $(ALLLD) -o $@ $^ -lrdkafka
.PHONY: bench-producer
bench-producer: programs $(B)/bench-producer-gregor \
                $(if $(wildcard /usr/include/librdkafka/rdkafka.h),$(B)/bench-producer-rdkafka)
	$(Q)sh tests/bench/producer.sh $(B)

$(B)/bench-metadata: $(B)/obj/tests/bench/metadata.o $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(LINK_ALL)

# A million operations of a client history before the black-box oracles.
$(B)/bench-history: $(B)/obj/tests/bench/history.o $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(LINK_ALL)
.PHONY: bench-history
bench-history: $(B)/bench-history
	$(Q)$(B)/bench-history

# The bars of the log: broker/log over the production world, and a broker with many partitions.
# BENCH_FAST=1: in about a minute.
$(B)/bench-log: $(B)/obj/tests/bench/log.o $(LIBS_ALL)
	$(Q)$(CC) $(ALLLD) -o $@ $< $(LINK_ALL)
.PHONY: bench-log
bench-log: programs $(B)/bench-log
	$(Q)sh tests/bench/log.sh $(B)

.PHONY: bench-metadata
bench-metadata: $(B)/bench-metadata
	$(Q)sh tests/bench/metadata.sh $(B)

bench: programs $(B)/bench-load $(B)/bench-floor
	$(Q)sh tests/bench/run.sh $(B)
	$(Q)$(MAKE) --no-print-directory bench-history
	$(Q)$(MAKE) --no-print-directory bench-log
	$(Q)[ ! -f /usr/include/librdkafka/rdkafka.h ] || $(MAKE) --no-print-directory bench-producer

.PHONY: unit unit-programs conformance
unit-programs: $(UNIT) $(CONF)
unit: $(UNIT) $(CONF)
	$(Q)sh tests/run_unit.sh $(UNIT) $(CONF)
conformance: $(CONF)
	$(Q)sh tests/run_unit.sh $(CONF)

.PHONY: clean
clean:
	rm -rf build

-include tests/fuzz/fuzz.mk

.SECONDARY:
-include $(shell find $(B)/obj $(B)/pic -name '*.d' 2>/dev/null)
