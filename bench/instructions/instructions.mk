# SPDX-License-Identifier: MIT
# `make check-instructions`: whether the read and commit paths take more instructions than the
# counts kept in counts.txt; needs valgrind, no quiet machine.  `make count-instructions` keeps the
# present counts.  Included by the Makefile.

instructions     := $(B)/bench/instructions/operations
instructions_src := bench/instructions/operations.c bench/support/segment.c bench/support/machine.c
instructions_run  = $(run_env) '$(find_python)' bench/instructions/check.py '$(instructions)' \
                    bench/instructions/counts.txt --compiler '$(CC)' --flags='$(CFLAGS)'
deps_instructions := $(deps_build) valgrind=cmd:valgrind python3=cmd:python3
deps-instructions: want = $(deps_instructions)

.PHONY: check-instructions count-instructions deps-instructions

# Without what debuggers need, which older valgrinds cannot read of newer compilers.
$(instructions): $(call obj,$(instructions_src)) $(B)/libuntorn.a
	$(call say,LD,$@)mkdir -p $(@D) && $(link) -Wl,-S -o $@ $^ $(lib_libs) -lm $(LDLIBS)

check-instructions: deps-instructions
	$(Q)$(MAKE) --no-print-directory '$(instructions)'
	$(Q)$(instructions_run)

count-instructions: deps-instructions
	$(Q)$(MAKE) --no-print-directory '$(instructions)'
	$(Q)$(instructions_run) --write

-include $(patsubst %.o,%.d,$(call obj,$(instructions_src)))
