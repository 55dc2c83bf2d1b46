# SPDX-License-Identifier: MIT
# make help says what there is. Everything is built into O (build/); V=1 shows the commands.

# Of everything: <userpci/userpci.h> has it. SOVERSION is what programs that are built must find.
VERSION := $(shell awk '/^.define USERPCI_VERSION_/ { v = v s $$3; s = "." } END { print v }' \
	include/userpci/userpci.h)
SOVERSION := 0
O ?= build
prefix ?= /usr/local
libdir ?= $(prefix)/lib
bashdir ?= $(prefix)/share/bash-completion/completions
zshdir ?= $(prefix)/share/zsh/site-functions
CC ?= gcc
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings
CPPFLAGS_ALL := -D_GNU_SOURCE -DUSERPCI_VERSION='"$(VERSION)"' -Iinclude -Iuserspace -Itests \
	$(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 -fPIC $(WARN) $(CFLAGS)
# Under both of its names, for O may be given as either.
DEPENDS = -MMD -MP -MT '$(abspath $@)' -MT '$(patsubst $(CURDIR)/%,%,$(abspath $@))'
LDFLAGS_ALL := -Wl,--as-needed $(LDFLAGS)

# The kernel to build the module for: `host` is the running one, others are names of qemu/kernel.
HOST_KERNEL := $(wildcard /lib/modules/$(shell uname -r)/build)
KERNEL ?= $(if $(HOST_KERNEL),host,6.1)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

LIB_SRC := $(wildcard userspace/lib/*.c)
NIC_SRC := $(wildcard userspace/nic/*.c userspace/drivers/*/*.c)
BIND_SRC := $(wildcard userspace/bind/*.c)
USERPCI_SRC := $(addprefix userspace/tools/,userpci.c cmd-list.c cmd-bind.c cmd-trace.c \
	trace-names.c cmd-show.c cmd-peek.c cmd-poke.c cmd-dump.c cmd-diff.c cmd-watch.c cmd-irq.c \
	cmd-reset.c cmd-top.c options.c number.c place.c target.c dump.c caps.c vpd.c bars.c \
	show-text.c show-json.c pci-name.c entry.c serve.c verdict.c owner.c modules.c sample.c \
	interrupts.c completion.c terminal.c run.c json.c cmd-restore.c bind-call.c \
	bind-report.c) $(BIND_SRC)
UNIC_SRC := $(addprefix userspace/tools/,unic.c cmd-echo.c cmd-info.c echo.c unic-run.c \
	cmd-cap.c cmd-replay.c cmd-tap.c pcapng.c cmd-nics.c cmd-stats.c cycles.c cmd-gen.c gen.c \
	cmd-recv.c track.c cmd-fwd.c run.c json.c)
EDU_SRC := userspace/examples/edu.c
BOCHS_SRC := $(addprefix userspace/examples/,bochs-display.c picture.c)
HTTP_SRC := $(addprefix userspace/examples/,http.c lwip-netif.c)
UNIT_SRC := $(wildcard tests/unit/*.c)
UAPI_SRC := $(wildcard tests/uapi/*.c)
DEBUG_SRC := $(wildcard tests/debug/*.c)
SUITE_SRC := $(addprefix tests/suite/,suite.c each.c edu.c others.c cable.c tap.c nic.c \
	offload.c kernel.c)
NIC_TEST_SRC := $(wildcard tests/nic/*.c)
SYSTEM_SRC := $(wildcard tests/system/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/*.c)
# In the order in which they run: after lockdown.c the machine is not what it was.
CONFORMANCE_SRC := $(patsubst %,tests/conformance/%.c,rows subject vfio memory maps registers \
	sharing dma lifetime lockdown) tests/uapi/support.c

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
LIBUSERPCI := $(O)/lib/libuserpci.a
LIBUNIC := $(O)/lib/libunic.a
SHARED := $(O)/lib/libuserpci.so $(O)/lib/libunic.so
TOOLS := $(addprefix $(O)/bin/,userpci unic edu bochs-display http)
SUITE := $(O)/tests/suite/suite
FUZZ := $(O)/tests/fuzz/fuzz
UNIT := $(patsubst tests/%.c,$(O)/tests/%,$(UNIT_SRC))
UAPI := $(O)/tests/uapi/uapi $(O)/tests/uapi/uapi32
GUEST := $(UAPI) $(O)/tests/debug/debug $(SUITE) \
	$(patsubst tests/%.c,$(O)/tests/%,$(NIC_TEST_SRC) $(SYSTEM_SRC))
# QEMU's plugin of `qemu/run --icount-report`.
ICOUNT := $(O)/qemu/icount.so
BENCH := $(addprefix $(O)/tests/bench/,userpci scale echo irq bar calls start)
PEERS := $(addprefix $(O)/tests/bench/,dpdk dpdk-best kernel)
CONFORMANCE := $(O)/tests/conformance/conformance $(O)/tests/conformance/conformance32

.PHONY: conformance
.PHONY: all help lib tools module demo test test-debug test-kernels test-long quick check tests
.PHONY: docs man install install-dkms uninstall deb clean
.PHONY: sanitized units fuzz fuzzers bench bench-check bench-keep
all: lib tools module

help:
	@echo 'make            library, tools and module, into $(O)/'
	@echo 'make demo       boots a virtual machine with edu and a NIC driven from user space'
	@echo 'make test       all tests, here and in virtual machines'
	@echo 'make test-debug the module under KASAN, lockdep, failslab (first builds a kernel)'
	@echo 'make test-kernels the module on the newest kernel, 7.2, from Debian sid'
	@echo 'make test-long  each NIC driver: a million frames each way, a thousand stops'
	@echo 'make fuzz       NIC drivers against devices that lie: TIME=600 seconds, TARGET=all'
	@echo 'make bench      what a packet costs, in instructions; ROW=PATTERN: some of that'
	@echo 'make bench-check whether it costs more than was stored; make bench-keep stores it'
	@echo 'make conformance what userpci, UIO, VFIO and sysfs allow, as a table'
	@echo 'make quick      the tests that need no guest, under ASan and UBSan, in seconds'
	@echo 'make check      layout, style, static analysis'
	@echo 'make docs       the pages and manual pages as HTML, into $(O)/doc'
	@echo 'make lib, tools, module'
	@echo 'make install    to $$(DESTDIR)$$(prefix), with libdir=DIR for libraries'
	@echo 'make install-dkms the module, for DKMS to build for each kernel'
	@echo 'make deb        Debian packages, into $(O)/deb'
	@echo 'make clean'
	@echo
	@echo 'O=DIR           builds into DIR'
	@echo 'V=1             shows the commands'
	@echo 'KERNEL=NAME     builds the module for host, 6.1, 6.12 or 7.2 (now: $(KERNEL))'
	@echo 'C=2             runs sparse over the module'

PC := $(O)/lib/pkgconfig/userpci.pc $(O)/lib/pkgconfig/unic.pc
lib: $(LIBUSERPCI) $(LIBUNIC) $(SHARED) $(PC)
tools: $(TOOLS) $(ICOUNT)
tests: $(UNIT) $(GUEST) $(CONFORMANCE) $(BENCH)

$(O)/obj/%.o: %.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(DEPENDS) -c -o $@ $<

$(O)/obj32/%.o: %.c
	$(say) CC32 $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -D_FILE_OFFSET_BITS=64 $(CFLAGS_ALL) -m32 -fno-pic $(DEPENDS) \
		-c -o $@ $<

$(LIBUSERPCI): $(call obj,$(LIB_SRC))
$(LIBUNIC): $(call obj,$(NIC_SRC))
%.a:
	$(say) AR $@
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/lib/libuserpci.so: $(call obj,$(LIB_SRC)) userspace/lib/userpci.map
$(O)/lib/libunic.so: $(call obj,$(NIC_SRC)) userspace/nic/unic.map $(O)/lib/libuserpci.so
%.so:
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(@F).$(SOVERSION) \
		-Wl,-Bsymbolic-functions -Wl,-z,defs $(LDFLAGS_ALL) -o $@.$(VERSION) \
		$(patsubst %.map,-Wl$(comma)--version-script=%.map,$^)
	$(Q)ln -sf $(@F).$(VERSION) $@.$(SOVERSION)
	$(Q)ln -sf $(@F).$(SOVERSION) $@
comma := ,

# Each time, because the prefix may be another.
.PHONY: $(PC)
$(PC): $(O)/lib/pkgconfig/%.pc: scripts/%.pc.in
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|' -e 's|@version@|$(VERSION)|' \
		-e 's|@libdir@|$(patsubst $(prefix)/%,$${prefix}/%,$(libdir))|' $< > $@

$(O)/bin/userpci: $(call obj,$(USERPCI_SRC)) $(LIBUNIC) $(LIBUSERPCI)
$(O)/bin/userpci: LIBS := -lpci -lmnl -lncurses
$(O)/bin/unic: $(call obj,$(UNIC_SRC)) $(LIBUNIC) $(LIBUSERPCI)
$(O)/bin/unic: LIBS := -lncurses -lpcap -pthread
$(O)/bin/edu: $(call obj,$(EDU_SRC)) $(LIBUSERPCI)
$(O)/bin/bochs-display: $(call obj,$(BOCHS_SRC)) $(LIBUSERPCI)
$(O)/bin/bochs-display: LIBS := -lm
$(O)/bin/http: $(call obj,$(HTTP_SRC)) $(LIBUNIC) $(LIBUSERPCI)
$(O)/bin/http: LIBS := -llwip
$(call obj,$(HTTP_SRC)): CPPFLAGS_ALL += -isystem /usr/include/lwip
BIND_TESTS := $(filter $(O)/tests/unit/bind%,$(UNIT))
$(BIND_TESTS): $(call obj,$(BIND_SRC))
$(BIND_TESTS): LIBS := -lpci -lmnl
$(O)/tests/unit/echo: $(call obj,userspace/tools/echo.c)
$(O)/tests/unit/gen: $(call obj,$(addprefix userspace/tools/,gen.c track.c))
$(O)/tests/unit/tool: $(call obj,$(addprefix userspace/tools/,place.c number.c caps.c vpd.c \
	dump.c target.c trace-names.c json.c modules.c interrupts.c options.c run.c) $(BIND_SRC))
$(O)/tests/unit/tool: LIBS := -lpci -lmnl
$(O)/tests/unit/unic-run: $(call obj,$(addprefix userspace/tools/,unic-run.c run.c json.c))
$(filter-out %/uapi32,$(GUEST)): $(LIBUNIC) $(LIBUSERPCI)
$(UNIT): $(LIBUNIC) $(LIBUSERPCI)
$(O)/tests/uapi/uapi: $(call obj,$(UAPI_SRC))
$(O)/tests/uapi/uapi: LIBS := -pthread
$(O)/tests/debug/debug: $(call obj,$(DEBUG_SRC) tests/uapi/support.c)
$(O)/tests/debug/debug: LIBS := -pthread
$(SUITE): $(call obj,$(SUITE_SRC))
$(BENCH): $(LIBUNIC) $(LIBUSERPCI)
$(O)/tests/bench/irq $(O)/tests/bench/scale: LIBS := -pthread
# DPDK as Debian ships it, and without shared libraries: of its own list for that (pkg-config
# --static), which has the drivers of a hundred devices, those that are used here.
DPDK_DRIVERS := net_e1000 net_virtio bus_pci bus_vdev mempool_ring
DPDK_LIBS := ethdev cryptodev mbuf mempool ring eal telemetry kvargs net meter pci rcu hash
$(O)/obj/tests/bench/dp%.o: CPPFLAGS_ALL += -isystem /usr/include/dpdk \
	-isystem /usr/include/x86_64-linux-gnu/dpdk -include rte_config.h -march=corei7
$(O)/tests/bench/dpdk: LIBS := -lrte_ethdev -lrte_mbuf -lrte_mempool -lrte_eal
$(O)/tests/bench/dpdk-best: LIBS := -Wl,--whole-archive $(DPDK_DRIVERS:%=-l:librte_%.a) \
	-Wl,--no-whole-archive -Wl,--start-group $(DPDK_LIBS:%=-l:librte_%.a) -Wl,--end-group \
	-lnuma -lbsd -lfdt -lm -pthread
$(ICOUNT): $(call obj,qemu/icount.c)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS_ALL) -o $@ $^
# The same suite, and the library in it, as a 32-bit program.
$(O)/tests/uapi/uapi32: $(patsubst %.c,$(O)/obj32/%.o,$(UAPI_SRC) $(LIB_SRC))
$(O)/tests/uapi/uapi32: LIBS := -m32 -static -pthread
$(O)/tests/conformance/conformance: $(call obj,$(CONFORMANCE_SRC))
$(O)/tests/conformance/conformance: LIBS := -pthread
$(O)/tests/conformance/conformance32: $(CONFORMANCE_SRC:%.c=$(O)/obj32/%.o)
$(O)/tests/conformance/conformance32: LIBS := -m32 -static -pthread
$(UNIT) $(BENCH) $(PEERS) $(filter-out $(UAPI) $(SUITE) %/debug,$(GUEST)): $(O)/tests/%: \
		$(O)/obj/tests/%.o
$(TOOLS) $(UNIT) $(GUEST) $(CONFORMANCE) $(BENCH) $(PEERS):
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDFLAGS_ALL) $(LIBS)

module:
	+$(Q)scripts/build-module '$(KERNEL)' '$(abspath $(O))' $(VERSION) \
		$(if $(C),C=$(C)) $(if $(V),V=$(V))

# The next ones install what they need, and say so first.
demo:
	$(Q)scripts/setup build guest
	$(Q)$(MAKE) --no-print-directory lib tools module KERNEL=6.1
	$(Q)O='$(abspath $(O))' scripts/demo

test:
	$(Q)scripts/setup build guest check
	$(Q)qemu/emulator 10 >/dev/null || true # without it igb's tests are skipped, and say so
	$(Q)$(MAKE) --no-print-directory module KERNEL=6.12
	$(Q)$(MAKE) --no-print-directory sanitized fuzzers
	$(Q)$(MAKE) --no-print-directory lib tools tests module KERNEL=6.1
	$(Q)O='$(abspath $(O))' tests/run

conformance:
	$(Q)scripts/setup build guest check
	$(Q)$(MAKE) --no-print-directory module KERNEL=6.12
	$(Q)$(MAKE) --no-print-directory tests module KERNEL=6.1
	$(Q)O='$(abspath $(O))' tests/conformance/run

# Of the rows whose name contains ROW; ROW=--list: their names.
bench:
	$(Q)scripts/setup build guest bench
	$(Q)$(MAKE) --no-print-directory module KERNEL=6.12
	+$(Q)$(MAKE) --no-print-directory tools $(BENCH) $(PEERS) module KERNEL=6.1
	$(Q)CC='$(CC)' CFLAGS='$(CFLAGS)' O='$(abspath $(O))' tests/bench/run $(ROW)

bench-check bench-keep:
	$(Q)scripts/setup build guest
	+$(Q)$(MAKE) --no-print-directory tools $(BENCH) module KERNEL=6.1
	$(Q)CC='$(CC)' CFLAGS='$(CFLAGS)' O='$(abspath $(O))' tests/bench/run $(@:bench-%=%)

test-debug:
	$(Q)scripts/setup build guest check debug
	$(Q)$(MAKE) --no-print-directory lib tools tests module KERNEL=debug
	$(Q)O='$(abspath $(O))' tests/debug/run

test-kernels:
	$(Q)scripts/setup build guest check
	$(Q)$(MAKE) --no-print-directory lib tools tests
	$(Q)O='$(abspath $(O))' tests/run uapi_7_2

test-long:
	$(Q)scripts/setup build guest check
	$(Q)qemu/emulator 10 >/dev/null || true
	$(Q)$(MAKE) --no-print-directory lib tools tests module KERNEL=6.1
	$(Q)O='$(abspath $(O))' tests/run nic_long

docs: $(if $(wildcard scripts/man3),man)
	$(Q)scripts/setup docs
	$(Q)scripts/docs html '$(abspath $(O))/doc' $(wildcard $(O)/man3)
	@echo '$(O)/doc/index.html'

check:
	$(Q)scripts/setup build guest check
	$(Q)scripts/check

# Under the sanitizers, as an ordinary user: what to run on each save.
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
sanitized:
	+$(Q)$(MAKE) --no-print-directory O='$(O)/sanitized' CFLAGS='$(SANITIZE)' units

# Leaks are looked for by `make test`: that takes a second.
quick: sanitized
	$(Q)O='$(abspath $(O))' ASAN_OPTIONS="$${ASAN_OPTIONS-detect_leaks=0}" tests/run quick

# The NIC drivers and the device that is played by the fuzzer: tests/fuzz/run.
FUZZ_SANITIZE := $(SANITIZE) -fsanitize=fuzzer-no-link
fuzzers:
	+$(Q)$(MAKE) --no-print-directory O='$(O)/fuzz' CC=clang CFLAGS='$(FUZZ_SANITIZE)' \
		'$(O)/fuzz/tests/fuzz/fuzz'

TIME ?= 600
fuzz:
	$(Q)scripts/setup build guest check
	$(Q)$(MAKE) --no-print-directory fuzzers
	$(Q)O='$(abspath $(O))' TIME='$(TIME)' tests/fuzz/run hunt $(TARGET)

$(FUZZ): $(call obj,$(FUZZ_SRC)) $(LIBUNIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDFLAGS_ALL)

units: $(UNIT) $(SUITE) $(O)/bin/edu $(O)/bin/unic

# Where Debian's Python looks for modules.
pythondir = $(prefix)/lib/python3$(if $(filter /usr,$(prefix)),,$(shell \
	python3 -c 'import sys; print(".%d" % sys.version_info[1])'))/dist-packages

# Section 3 comes from the headers.
man: $(O)/man3/libuserpci.3
$(O)/man3/libuserpci.3: scripts/man3 $(wildcard include/*/*.h)
	$(say) MAN $(@D)
	$(Q)scripts/man3 $(@D) $(VERSION)

destination = $(DESTDIR)$(prefix)
install: lib man $(O)/bin/userpci $(O)/bin/unic
	install -d $(destination)/bin $(destination)/sbin $(destination)/lib/udev/rules.d
	install -d $(DESTDIR)$(libdir)/pkgconfig $(addprefix $(destination)/share/man/man,1 3 4 7 8)
	install -d $(destination)/include/userpci $(destination)/include/unic
	install -m 755 $(O)/bin/userpci $(O)/bin/unic $(destination)/bin
	install -m 755 scripts/userpci-sign $(destination)/sbin
	install -m 644 $(LIBUSERPCI) $(LIBUNIC) $(DESTDIR)$(libdir)
	cp -d $(SHARED) $(SHARED:=.$(SOVERSION)) $(SHARED:=.$(VERSION)) $(DESTDIR)$(libdir)
	install -m 644 $(PC) $(DESTDIR)$(libdir)/pkgconfig
	install -m 644 include/userpci/*.h $(destination)/include/userpci
	install -m 644 include/unic/*.h $(destination)/include/unic
	for section in 1 4 7 8; do install -m 644 doc/man/*.$$section \
		$(destination)/share/man/man$$section || exit; done
	cp -dR --no-preserve=mode,ownership $(O)/man3/. $(destination)/share/man/man3
	install -m 644 scripts/60-userpci.rules $(destination)/lib/udev/rules.d
	install -d $(DESTDIR)$(pythondir)/userpci
	install -m 644 userspace/python/userpci/*.py userspace/python/userpci/py.typed \
		$(DESTDIR)$(pythondir)/userpci
	install -d $(DESTDIR)$(bashdir) $(DESTDIR)$(zshdir)
	for tool in userpci unic; do install -m 644 \
		userspace/tools/completion/$$tool.bash $(DESTDIR)$(bashdir)/$$tool || exit; done
	install -m 644 userspace/tools/completion/_* $(DESTDIR)$(zshdir)
	[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig

# DKMS looks nowhere else. Without DESTDIR the module is built and installed for this kernel, too.
dkms_source = $(DESTDIR)/usr/src/userpci-$(VERSION)
install-dkms:
	install -d $(dkms_source)/include/userpci $(destination)/lib/modules-load.d
	install -m 644 kernel/*.[ch] kernel/Kbuild $(dkms_source)
	install -m 644 include/userpci/uapi.h $(dkms_source)/include/userpci
	sed 's/#MODULE_VERSION#/$(VERSION)/' kernel/dkms.conf >$(dkms_source)/dkms.conf
	install -m 644 scripts/modules-load.conf $(destination)/lib/modules-load.d/userpci.conf
	[ -n '$(DESTDIR)' ] || dkms install --force userpci/$(VERSION)

deb:
	$(Q)scripts/setup deb
	$(Q)scripts/deb '$(abspath $(O))/deb' $(VERSION)

# What an installation leaves in an empty folder is what is to be taken away.
uninstall:
	[ -n '$(DESTDIR)' ] || ! command -v dkms || dkms remove userpci/$(VERSION) --all || true
	rm -rf '$(O)/uninstall'
	$(MAKE) install install-dkms DESTDIR='$(abspath $(O))/uninstall' >/dev/null
	cd '$(O)/uninstall' && find . ! -type d -exec \
		sh -c 'cd "$$0" && rm -f "$$@"' '$(DESTDIR)/' {} +
	rmdir $(dkms_source)/include/userpci $(dkms_source)/include $(dkms_source) \
		$(destination)/include/userpci $(destination)/include/unic

clean:
	rm -rf '$(O)'

.SECONDARY:
-include $(shell find $(O)/obj $(O)/obj32 -name '*.d' 2>/dev/null)
