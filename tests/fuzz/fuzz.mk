# Fuzz targets: tests/fuzz/X_fuzz.c, seeds in tests/fuzz/corpus/X. Included by the Makefile.
#   make fuzz-replay                                  every seed and its prefixes, any compiler
#   make CC=clang VARIANT=fuzz fuzz-run FUZZ_SECONDS=30   libFuzzer, address and undefined checks

FUZZ_SECONDS ?= 30
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SHARED  := $(B)/obj/tests/fuzz/fuzz.o $(B)/obj/tests/support/wire_random.o \
                $(B)/obj/tests/support/log_box.o $(B)/obj/tests/support/node_box.o

$(B)/fuzz/%-replay: $(B)/obj/tests/fuzz/%_fuzz.o $(B)/obj/tests/fuzz/replay.o $(FUZZ_SHARED) $(LIBS_ALL)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLD) -o $@ $(filter %.o,$^) $(LINK_ALL) -lcmocka

$(B)/fuzz/%-fuzz: $(B)/obj/tests/fuzz/%_fuzz.o $(FUZZ_SHARED) $(LIBS_ALL)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLD) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LINK_ALL) -lcmocka

.PHONY: fuzz-replay fuzz-run
fuzz-replay: $(patsubst %,$(B)/fuzz/%-replay,$(FUZZ_TARGETS))
	$(Q)for t in $(FUZZ_TARGETS); do $(B)/fuzz/$$t-replay tests/fuzz/corpus/$$t || exit 1; done

fuzz-run: $(patsubst %,$(B)/fuzz/%-fuzz,$(FUZZ_TARGETS))
	$(Q)for t in $(FUZZ_TARGETS); do mkdir -p $(B)/fuzz/corpus/$$t; \
	  $(B)/fuzz/$$t-fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1 \
	  -artifact_prefix=$(B)/fuzz/$$t- $(B)/fuzz/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done
