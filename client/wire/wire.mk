# The codecs: client/wire/schema/*.txt through the generator (client/wire/gen) into build/*/gen.
# Included by the Makefile. Gives GEN_READY (all generated files exist) and OBJ_gen.

GEN_DIR   := $(B)/gen/wire
GEN_TOOL  := $(B)/gen/wiregen
GEN_READY := $(B)/gen/stamp
GEN_STEMS := $(sort $(basename $(notdir $(GENLIST)))) api_table crc32c_table
OBJ_gen   := $(patsubst %,$(B)/obj/gen/wire/%.o,$(GEN_STEMS))

# A program of the build host: never with the variant's flags.
$(GEN_TOOL): $(wildcard client/wire/gen/*.c) client/wire/gen/gen.h
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c17 -g -O1 -I. $(WARN) $(filter %.c,$^) -o $@

$(GEN_READY): $(GEN_TOOL) $(GENLIST)
	@mkdir -p $(GEN_DIR)
	$(Q)$(GEN_TOOL) $(GEN_DIR) $(GENLIST)
	@touch $@

# Static patterns: an implicit rule for .c files would also be tried for every .d file.
GEN_FILES := $(foreach stem,$(GEN_STEMS),$(GEN_DIR)/$(stem).c $(GEN_DIR)/$(stem).h)
$(GEN_FILES): $(GEN_READY) ;

$(OBJ_gen): $(B)/obj/gen/wire/%.o: $(GEN_DIR)/%.c | $(GEN_READY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLFLAGS) -c $< -o $@
