# SPDX-License-Identifier: MIT
# Builds the library, the tools, the tests and the benchmarks; one non-recursive makefile, whose
# source lists are the directories' contents.
#
#   make                the libraries and the tools, runnable from the build tree
#   make deps           install what is missing to build, check and bench (Debian, Ubuntu)
#   make check          run all tests          make demo     show what it is about
#   make bench          untorn beside its peers, in minutes; bench/README.md
#   make bench-full     the same in full       make performance-doc   docs/ from its results
#   make deps-bench     install peers, too     make format   make check-format
#   make check-instructions  whether reading and committing take more instructions than is kept
#   make check-large    the same tests with arrays of gigabytes, in minutes
#   make check-arm64    compiled for ARM64 and run under emulation
#   make check-interop  whether other Zarr programs, which it installs, read what is flushed
#   make install        DESTDIR= prefix= libdir= includedir= bindir= mandir= docdir= pythondir=
#   make uninstall      the same variables        make man      the manual pages, in build/man
#   make dist           untorn-VERSION.tar.gz of the last commit, in build/
#   make clean
#
#   V=1                 show commands          BUILD=dir     build there instead of build/
#   WERROR=1            warnings are errors    SCALE=10      a tenth of the tests' repetitions
#   SAN=address,undefined or SAN=thread        sanitizers, in a build directory of their own
#   TESTS='base/*'      check only these       JOBS=2        tests run at once
#
# CC, CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS are the user's; what the project needs is kept apart.

BUILD  ?= build
SCALE  ?= 100
JOBS   ?= 2
TESTS  ?= *
CFLAGS ?= -O2 -g

prefix     ?= /usr/local
exec_prefix ?= $(prefix)
bindir     ?= $(exec_prefix)/bin
libdir     ?= $(exec_prefix)/lib
includedir ?= $(prefix)/include
datarootdir ?= $(prefix)/share
mandir     ?= $(datarootdir)/man
docdir     ?= $(datarootdir)/doc/untorn
pythondir  ?= $(datarootdir)/untorn
bashcompletiondir ?= $(datarootdir)/bash-completion/completions
INSTALL    ?= install
# Each version has a taste of its own: .clang-format is made for this one.
CLANG_FORMAT ?= $(or $(shell command -v clang-format-14 2>/dev/null),clang-format)

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

comma := ,
B := $(BUILD)$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

# ---------------------------------------------------------------- flags

san_flags := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ut_flags  := -std=c11 -Wall -Wextra -Wconversion -Wshadow $(if $(filter 1,$(WERROR)),-Werror) \
             -fPIC -fvisibility=hidden -pthread $(san_flags)
ut_defs   := -D_GNU_SOURCE -Iinclude -Isrc
lib_libs  := -Wl,--as-needed -llz4 -lxxhash -pthread

compile = $(CC) $(ut_defs) $(CPPFLAGS) $(ut_flags) $(CFLAGS) -MMD -MP
link    = $(CC) $(ut_flags) $(CFLAGS) $(LDFLAGS)

# ---------------------------------------------------------------- what there is

version := $(shell awk '$$2 ~ /^UNTORN_VERSION_(MAJOR|MINOR|PATCH)$$/ \
             { v = v (v == "" ? "" : ".") $$3 } END { print v }' include/untorn.h)
soname  := libuntorn.so.$(firstword $(subst ., ,$(version)))

lib_src     := $(wildcard src/base/*.c src/segment/*.c src/array/*.c src/store/*.c)
tool_src    := $(wildcard src/tools/*.c)
common_src  := $(filter src/tools/common% \
                 $(patsubst %,src/tools/%.c,element half_float interrupt quantity text),$(tool_src))
shmstat_src := $(filter src/tools/shmstat%,$(tool_src))
untorn_src  := $(filter-out $(common_src) $(shmstat_src),$(tool_src))
support_src := $(wildcard tests/support/*.c)
test_src    := $(filter-out tests/support/% tests/demo/%,$(wildcard tests/*/test_*.c))
test_sh     := $(filter-out tests/support/% tests/demo/%,$(wildcard tests/*/test_*.sh))
demo_src    := $(wildcard tests/demo/*.c)
bench_src   := $(wildcard bench/bench_*.c)
bench_support_src := $(wildcard bench/support/*.c)

obj  = $(patsubst %.c,$(B)/obj/%.o,$(1))
tobj = $(patsubst %.c,$(B)/testing/%.o,$(1))

shared  := $(B)/libuntorn.so.$(version)
libs    := $(B)/libuntorn.a $(shared) $(B)/$(soname) $(B)/libuntorn.so
tools   := $(if $(untorn_src),$(B)/untorn) $(if $(shmstat_src),$(B)/shmstat)
tests   := $(patsubst %.c,$(B)/%,$(test_src))
demos   := $(patsubst tests/demo/%.c,$(B)/demo/%,$(demo_src))
benches := $(patsubst %.c,$(B)/%,$(bench_src))

.PHONY: all libs tools tests demos benches check check-large check-arm64 check-interop demo bench \
        bench-full performance-doc deps deps-build deps-check deps-bench deps-peers format check-format man \
        install uninstall dist clean FORCE

all: libs tools
# The colons keep make from saying that there is nothing to do.
libs: $(libs) ; @:
tools: $(tools) ; @:
tests: $(tests) ; @:
demos: $(demos) ; @:
benches: $(benches) ; @:

# ---------------------------------------------------------------- compile and link

# Changed flags or compilers rebuild what they made.
flags_now := $(shell printf '%s' '$(subst ','\'',$(compile) $(LDFLAGS) $(LDLIBS))' | cksum)
$(B)/.flags: FORCE
	@mkdir -p $(@D); [ "$$(cat $@ 2>/dev/null)" = '$(flags_now)' ] || echo '$(flags_now)' >$@

$(B)/obj/src/tools/%.o: src/tools/%.c $(B)/.flags
	$(call say,CC,$<)mkdir -p $(@D) && $(compile) -c -o $@ $<

$(B)/obj/src/%.o: src/%.c $(B)/.flags
	$(call say,CC,$<)mkdir -p $(@D) && $(compile) -DUNTORN_BUILD -c -o $@ $<

$(B)/obj/%.o: %.c $(B)/.flags
	$(call say,CC,$<)mkdir -p $(@D) && $(compile) -c -o $@ $<

$(B)/testing/%.o: %.c $(B)/.flags
	$(call say,CC test,$<)mkdir -p $(@D) && \
	    $(compile) -DUNTORN_BUILD -DUNTORN_TESTING -UNDEBUG -Itests -c -o $@ $<

# ar adds to an archive that exists, so a source that was removed would stay in it.  The lists of
# members are files so that removing a source is a change.
$(B)/lib.list: members = $(lib_src)
$(B)/support.list: members = $(support_src) $(bench_support_src)
$(B)/lib.list $(B)/support.list: FORCE
	@mkdir -p $(@D); [ "$$(cat $@ 2>/dev/null)" = '$(members)' ] || echo '$(members)' >$@

$(B)/libuntorn.a: $(call obj,$(lib_src)) $(B)/lib.list
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/testing/libuntorn.a: $(call tobj,$(lib_src)) $(B)/lib.list
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# Sanitizers leave their runtime to be found at load time.
$(shared): $(call obj,$(lib_src)) src/untorn.map $(B)/lib.list
	$(call say,LD,$@)$(link) -shared -o $@ -Wl,-soname,$(soname) \
	    -Wl,--version-script=src/untorn.map $(if $(SAN),,-Wl,-z,defs) \
	    $(filter %.o,$^) $(lib_libs) $(LDLIBS)

$(B)/$(soname) $(B)/libuntorn.so: $(shared)
	$(Q)ln -sf $(notdir $(shared)) $@

$(B)/untorn: $(call obj,$(untorn_src) $(common_src)) $(B)/libuntorn.a
	$(call say,LD,$@)$(link) -o $@ $^ $(lib_libs) -lm $(LDLIBS)

$(B)/shmstat: $(call obj,$(shmstat_src) $(common_src)) $(B)/libuntorn.a
	$(call say,LD,$@)$(link) -o $@ $^ $(lib_libs) -lm $(LDLIBS)

# What tests and benchmarks share is archived, so that each program has only what it uses.
$(B)/testing/libsupport.a: $(call tobj,$(support_src)) $(B)/support.list
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/bench/libsupport.a: $(call obj,$(bench_support_src)) $(B)/support.list
	$(call say,AR,$@)rm -f $@ && mkdir -p $(@D) && $(AR) rcs $@ $(filter %.o,$^)

# An archive serves what stands before it.
$(tests): $(B)/%: $(B)/testing/%.o $(B)/testing/libsupport.a $(B)/testing/libuntorn.a
	$(call say,LD,$@)mkdir -p $(@D) && $(link) -o $@ $^ $(lib_libs) -lcmocka -lm $(LDLIBS)

$(demos): $(B)/demo/%: $(B)/obj/tests/demo/%.o $(B)/libuntorn.a
	$(call say,LD,$@)mkdir -p $(@D) && $(link) -o $@ $^ $(lib_libs) -lm $(LDLIBS)

# Benchmarks are compiled without LMDB where it is missing, and anew when it is there.
$(B)/lmdb.libs: FORCE
	@mkdir -p $(@D); now=; $(compile) -E -dM bench/support/lmdb_store.h -MF /dev/null 2>/dev/null | \
	    grep -q 'BENCH_HAS_LMDB 1' && now=-llmdb; \
	[ -e $@ ] && [ "$$(cat $@)" = "$$now" ] || echo "$$now" >$@
$(patsubst %,$(B)/obj/bench/support/lmdb_%.o,store absent): $(B)/lmdb.libs

$(benches): $(B)/%: $(B)/obj/%.o $(B)/bench/libsupport.a $(B)/libuntorn.a $(B)/lmdb.libs
	$(call say,LD,$@)mkdir -p $(@D) && \
	    $(link) -o $@ $(filter-out %.libs,$^) $(lib_libs) $$(cat $(B)/lmdb.libs) -lm $(LDLIBS)

.SECONDARY:
-include $(patsubst %.o,%.d,$(call obj,$(lib_src) $(tool_src) $(demo_src) $(bench_src) \
    $(bench_support_src)) $(call tobj,$(lib_src) $(support_src) $(test_src)))

# ---------------------------------------------------------------- run

# The environment of test, demo and benchmark scripts.
run_env = BUILD='$(abspath $(B))' TOP='$(CURDIR)' SAN='$(SAN)' CC='$(CC)' MAKE='$(MAKE)' \
          PYTHON='$(find_python)' UNTORN_TEST_SCALE='$(SCALE)'

# In two steps, because packages may have to be installed before anything can be compiled.
check: deps-check
	$(Q)$(MAKE) --no-print-directory all tests demos
	+$(Q)$(run_env) JOBS='$(JOBS)' TESTS='$(TESTS)' tests/run_tests.sh \
	    tests/check_layers.sh $(tests) $(test_sh)

# The sizes that take minutes: an array of 1 GiB behind 16 MiB, and 2 GiB appended to 32 MiB.
check-large: deps-check
	$(Q)$(MAKE) --no-print-directory all tests
	+$(Q)$(run_env) UNTORN_TEST_LARGE=1 JOBS='$(JOBS)' tests/run_tests.sh \
	    $(B)/tests/cache/test_cache_large $(B)/tests/cache/test_append_for_ever

# What is not x86's own, under emulation.
check-arm64: SCALE = 10
check-arm64:
	+$(Q)$(run_env) JOBS='$(JOBS)' tests/arm64/run.sh

check-interop: deps-build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(run_env) tests/interop/run.sh

demo: deps-build
	$(Q)$(MAKE) --no-print-directory all demos
	$(Q)if [ -x tests/demo/run.sh ]; then $(run_env) tests/demo/run.sh; \
	    else echo 'There is no demo yet.'; fi

bench: tier = quick
bench-full: tier = full
bench bench-full: deps-bench
	$(Q)$(MAKE) --no-print-directory all benches
	$(Q)$(run_env) BENCH_TIER=$(tier) bench/run.sh

# Figures in the docs are those of a full run that somebody has looked at; all of it is made from its
# results by the harness as it is now.
performance-doc:
	$(Q)grep -q '^ "tier": "full",$$' $(B)/bench/results.json || { \
	    echo '$(B)/bench/results.json is of no full run; make bench-full writes one.' >&2; exit 1; }
	$(Q)python3 -B bench/harness/results.py $(B)/bench/results.json $(B)/bench
	$(Q)rm -rf docs/performance docs/plots && cd $(B)/bench && \
	    cp -R performance.md performance plots '$(CURDIR)/docs/'

# ---------------------------------------------------------------- what has to be installed

# The first python3 that has NumPy; one outside the distribution may come first and lack it.
find_python = $(or $(shell for p in python3 /usr/bin/python3; do \
    "$$p" -c 'import numpy' 2>/dev/null && echo "$$p" && break; done),python3)

# package=what shows that it is there: a header, a command or a Python module
deps_build := liblz4-dev=lz4.h libxxhash-dev=xxhash.h
deps_check := $(deps_build) libcmocka-dev=cmocka.h pkg-config=cmd:pkg-config jq=cmd:jq \
              python3-numpy=py:numpy
deps_bench := $(deps_build)
# What peers need beyond it; one that cannot be installed is left out of the benchmarks.
deps_peers := liblmdb-dev=lmdb.h libhdf5-dev=pkg:hdf5 pkg-config=cmd:pkg-config \
              libhiredis-dev=hiredis/hiredis.h redis-server=cmd:redis-server iceoryx=cmd:iox-roudi \
              libiceoryx-binding-c-dev=file:/usr/include/iceoryx libblosc1=lib:libblosc.so.1 \
              python3-venv=py:ensurepip valgrind=cmd:valgrind

deps-build: want = $(deps_build)
deps-check: want = $(deps_check)
deps-bench: want = $(deps_bench)
deps:       want = $(sort $(deps_check) $(deps_bench) $(deps_instructions))

# Sets `missing`.  Header files are asked of the compiler, libraries of the loader's cache.
find_missing = missing=; for d in $(want); do what=$${d\#*=}; case $$what in \
    cmd:*) command -v "$${what\#cmd:}" ;; \
    py:*)  python3 -c "import $${what\#py:}" || /usr/bin/python3 -c "import $${what\#py:}" ;; \
    pkg:*) pkg-config --exists "$${what\#pkg:}" ;; \
    lib:*) PATH=$$PATH:/sbin ldconfig -p | grep -qF "$${what\#lib:}" ;; \
    file:*) [ -e "$${what\#file:}" ] ;; \
    *)     echo "\#include <$$what>" | $(CC) $(CPPFLAGS) -E -x c - ;; \
    esac >/dev/null 2>&1 || missing="$$missing $${d%%=*}"; done

deps-bench: deps-peers
deps-peers: want = $(deps_peers)
deps-peers:
	@$(find_missing); [ -z "$$missing" ] || bench/support/packages.sh $$missing

deps deps-build deps-check deps-bench deps-instructions:
	@$(find_missing); \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
	    echo "Missing, by their Debian names:$$missing"; \
	    echo "Only Debian and Ubuntu are known here; please install them with your system's means."; \
	    exit 1; \
	fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "Installing:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$sudo apt-get update -qq </dev/null; \
	$$sudo apt-get install -y -qq --no-install-recommends $$missing </dev/null

include bench/instructions/instructions.mk

# ---------------------------------------------------------------- format

formatted = $(shell find include src tests bench -name '*.[ch]' 2>/dev/null | sort)

format:
	$(Q)$(CLANG_FORMAT) -i $(formatted)

check-format:
	$(Q)if $(CLANG_FORMAT) --version 2>&1 | grep -q 'version 14\.'; then \
	    $(CLANG_FORMAT) --dry-run -Werror $(formatted); \
	else echo 'skipped: the format is that of clang-format 14, which is not installed'; fi

# ---------------------------------------------------------------- manual pages

# Made from the texts that there are anyway: the header and docs/.  The day is that of the release.
man_date  := 2026-11-22
man_pages := $(patsubst %,$(B)/man/%,untorn.1 shmstat.1 untorn.3 untorn-segment.5 untorn-store.5 \
             untorn-manifest.5)
# Each call's page is a link to the one.
calls      = $(shell LC_ALL=C awk -v list=1 -f docs/man/header_to_man.awk include/untorn.h)
# In bytes, so that every awk breaks the same lines.
from_docs  = LC_ALL=C awk -v section=5 -v version=$(version) -v date=$(man_date) \
             -f docs/man/markdown_to_man.awk

man_in     = sed -e 's|@version@|$(version)|' -e 's|@date@|$(man_date)|' -e 's|@docdir@|$(docdir)|'

man: $(man_pages) ; @:

$(B)/man/untorn.1: docs/man/untorn.1.in include/untorn.h Makefile
	$(call say,MAN,$@)mkdir -p $(@D) && $(man_in) $< >$@

$(B)/man/shmstat.1: docs/man/shmstat.1.in docs/man/shmstat.1.end docs/shmstat.md \
                    docs/man/markdown_to_man.awk include/untorn.h Makefile
	$(call say,MAN,$@)mkdir -p $(@D) && $(man_in) $< >$@ && \
	    $(from_docs) -v from=Segments docs/shmstat.md >>$@ && cat docs/man/shmstat.1.end >>$@

$(B)/man/untorn.3: docs/man/header_to_man.awk include/untorn.h Makefile
	$(call say,MAN,$@)mkdir -p $(@D) && \
	    LC_ALL=C awk -v version=$(version) -v date=$(man_date) -f $< include/untorn.h >$@

$(B)/man/untorn-segment.5: what = layout of a segment of arrays in shared memory
$(B)/man/untorn-segment.5: docs/segment-layout.md
$(B)/man/untorn-store.5: what = directory on disk that arrays in shared memory are flushed to
$(B)/man/untorn-store.5: docs/store.md
$(B)/man/untorn-manifest.5: what = format of the manifests of a store
$(B)/man/untorn-manifest.5: docs/manifest.md
$(B)/man/%.5: docs/man/markdown_to_man.awk include/untorn.h Makefile
	$(call say,MAN,$@)mkdir -p $(@D) && \
	    $(from_docs) -v name=$* -v what='$(what)' $(filter %.md,$^) >$@

# ---------------------------------------------------------------- install

documents := README.md LICENSE $(wildcard docs/*.md)
doc_parts := $(wildcard docs/performance/*.md docs/plots/*.svg)# docs/DIRECTORY/FILE
doc_part_dirs := $(sort $(notdir $(patsubst %/,%,$(dir $(doc_parts)))))

install: all man
	$(INSTALL) -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(libdir)/pkgconfig' '$(DESTDIR)$(includedir)' \
	    '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(mandir)/man3' '$(DESTDIR)$(mandir)/man5' \
	    '$(DESTDIR)$(docdir)' '$(DESTDIR)$(pythondir)' '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL) -m 644 include/untorn.h '$(DESTDIR)$(includedir)'
	$(INSTALL) -m 644 $(B)/libuntorn.a $(shared) '$(DESTDIR)$(libdir)'
	ln -sf $(notdir $(shared)) '$(DESTDIR)$(libdir)/$(soname)'
	ln -sf $(notdir $(shared)) '$(DESTDIR)$(libdir)/libuntorn.so'
	$(if $(tools),$(INSTALL) -m 755 $(tools) '$(DESTDIR)$(bindir)')
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@version@|$(version)|' \
	    -e 's|@includedir@|$(includedir)|' -e 's|@pythondir@|$(pythondir)|' \
	    src/untorn.pc.in >$(B)/untorn.pc
	$(INSTALL) -m 644 $(B)/untorn.pc '$(DESTDIR)$(libdir)/pkgconfig'
	@# The module loads the library that it came with, wherever the loader looks.
	sed 's|"$(soname)"|"$(libdir)/$(soname)"|' src/python/untorn.py >$(B)/untorn.py
	$(INSTALL) -m 644 $(B)/untorn.py '$(DESTDIR)$(pythondir)'
	@# It names docdir, which may be another now than when it was made.
	$(man_in) docs/man/untorn.1.in >$(B)/man/untorn.1
	for n in 1 3 5; do \
	    $(INSTALL) -m 644 $(B)/man/*.$$n '$(DESTDIR)$(mandir)'/man$$n || exit 1; done
	@for call in $(calls); do \
	    echo '.so man3/untorn.3' >'$(DESTDIR)$(mandir)'/man3/$$call.3 || exit 1; done
	$(INSTALL) -m 644 $(documents) '$(DESTDIR)$(docdir)'
	for d in $(doc_part_dirs); do $(INSTALL) -d '$(DESTDIR)$(docdir)'/$$d || exit 1; done
	@for part in $(doc_parts:docs/%=%); do \
	    $(INSTALL) -m 644 docs/$$part '$(DESTDIR)$(docdir)'/$$part || exit 1; done
	$(INSTALL) -m 644 src/tools/untorn.bash-completion '$(DESTDIR)$(bashcompletiondir)/untorn'
	ln -sf untorn '$(DESTDIR)$(bashcompletiondir)/shmstat'
	@# Programs find a new library only once the loader's cache knows it.
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then \
	    case '$(libdir)' in /usr/*) ldconfig 2>/dev/null || true ;; esac; fi

# Directories of our own go, too, if nothing else is in them.
uninstall:
	rm -f '$(DESTDIR)$(includedir)/untorn.h' '$(DESTDIR)$(libdir)/libuntorn.a' \
	    '$(DESTDIR)$(libdir)/$(notdir $(shared))' '$(DESTDIR)$(libdir)/$(soname)' \
	    '$(DESTDIR)$(libdir)/libuntorn.so' '$(DESTDIR)$(libdir)/pkgconfig/untorn.pc' \
	    '$(DESTDIR)$(bindir)/untorn' '$(DESTDIR)$(bindir)/shmstat' \
	    '$(DESTDIR)$(bashcompletiondir)/untorn' '$(DESTDIR)$(bashcompletiondir)/shmstat'
	rm -f '$(DESTDIR)$(pythondir)/untorn.py' '$(DESTDIR)$(pythondir)'/__pycache__/untorn.cpython-*
	@for page in $(notdir $(man_pages)) $(addsuffix .3,$(calls)); do \
	    rm -f '$(DESTDIR)$(mandir)'/man$${page##*.}/$$page; done
	@for document in $(notdir $(documents)); do rm -f '$(DESTDIR)$(docdir)'/$$document; done
	@for part in $(doc_parts:docs/%=%); do rm -f '$(DESTDIR)$(docdir)'/$$part; done
	@for d in $(doc_part_dirs) ''; do rmdir '$(DESTDIR)$(docdir)'/$$d 2>/dev/null || true; done
	@case '$(pythondir)' in */untorn) \
	    rmdir '$(DESTDIR)$(pythondir)/__pycache__' '$(DESTDIR)$(pythondir)' 2>/dev/null || true ;; esac

# The same bytes for the same commit, whoever makes it: git archive takes names, modes and times
# from the commit, and gzip -n leaves out its own.
dist_name := untorn-$(version)
dist:
	@git rev-parse --verify -q HEAD >/dev/null 2>&1 && [ -z "$$(git rev-parse --show-prefix)" ] || { \
	    echo 'make dist needs the git repository; this tree has none of its own.' >&2; exit 1; }
	@[ -z "$$(git status --porcelain)" ] || echo 'Note: changes that are not committed are not in it.' >&2
	@mkdir -p $(B)
	git archive --format=tar --prefix=$(dist_name)/ HEAD | gzip -9n >$(B)/$(dist_name).tar.gz

clean:
	$(Q)rm -rf $(B)
