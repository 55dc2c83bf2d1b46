#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tests qemu/run --icount: that a program which knows what it does is told just that. Prints a line
# `ok NAME` or `not ok NAME: WHY` a case; what a failed case printed goes to stderr.
#
# shellcheck disable=SC2016  # single quotes: the code is the guest's
set -uo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
export O=${O:-$root/build}
work=$(mktemp -d "${TMPDIR:-/tmp}/userpci-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

failed=0

# report NAME REASONS: no reason means that the case has passed.
report() {
  if [ -z "$2" ]; then
    echo "ok $1"
    return
  fi
  echo "not ok $1: ${2//$'\n'/; }"
  failed=1
  sed 's/^/# out: /' "$work/out" >&2
  sed 's/^/# err: /' "$work/err" >&2
}

# Two kinds of windows. The first: a loop of 200,000 instructions and one before it. The second has
# 3 reads and 2 writes of edu's registers, 4 locked instructions (2 of them without a prefix), 3
# fences, a system call: also a window that is not kept, which must not count.
cat >"$work/known.c" <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "icount.h"

static volatile uint32_t *registers;
static uint32_t word;

static void busy(void)
{
	__asm__ volatile("mov $100000, %%ecx\n1: dec %%ecx\n\tjnz 1b" : : : "ecx", "cc");
}

static void various(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		(void)registers[0];
	registers[1] = 1;
	registers[1] = 2;
	__asm__ volatile("lock incl %0\n\tlock decq (%%rsp)\n\txchg %%eax, %0\n\t"
			 "xchg %%ax, (%%rsp)\n\txchg %%ecx, %%edx\n\t"
			 "lfence\n\tmfence\n\tsfence"
			 : "+m"(word) : : "eax", "ecx", "edx", "memory");
	syscall(SYS_getppid);
}

int main(void)
{
	int fd = open("/sys/bus/pci/devices/0000:00:01.0/resource0", O_RDWR | O_SYNC);
	struct icount loop, mixed;
	unsigned int i;

	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (registers == MAP_FAILED)
		return 1;
	icount_init(&loop, 0);
	icount_init(&mixed, 1);
	for (i = 0; i < 7; i++) {
		icount_begin(&loop);
		busy();
		icount_end(&loop);
		icount_begin(&mixed);
		various();
		icount_end(&mixed);
		if (i != 3 && icount_last(&loop) < 200100) /* no timer's interrupt in it */
			icount_keep(&loop);
		if (i < 5)
			icount_keep(&mixed);
	}
	printf("%.0f in %u\n", icount_mean(&loop), (unsigned int)loop.kept);
	icount_report();
	return 0;
}
C
C_FLAGS=(-O1 -Wall -Werror -I "$root/qemu")
# On the stack an instruction works below what the compiler keeps there.
C_FLAGS+=(-mno-red-zone)
"${CC:-cc}" "${C_FLAGS[@]}" -o "$work/known" "$work/known.c" || {
  echo "not ok icount_header: qemu/icount.h does not compile"
  exit 1
}

# counted OPTION...: into $work/report and $work/profile.
counted() {
  "$root/qemu/run" --module none --icount-report "$work/report" \
    --icount-profile "$work/profile" --device edu "$@" -- sh -c '
      echo 1 >/sys/bus/pci/devices/0000:00:01.0/enable && exec "$1"' sh "$work/known" \
    >"$work/out" 2>"$work/err"
}

# wanted NAME: looks at what counted() has left.
wanted() {
  local loops
  report "$1_tsc" "$(grep -qE '^200001 in [1-6]$' "$work/out" || echo "said: $(cat "$work/out")")"
  loops=$(awk '$1 == 1 && $2 == 0 { print $3 }' "$work/report")
  report "$1_report" "$(
    diff <(printf '1\t0\t%s\t%s\t0\t0\t0\t0\t0\n' "$loops" $((200001 * loops))) \
      <(awk '$2 == 0' "$work/report")
    # Registers, locked, fences, system calls; of how many instructions depends on the compiler.
    awk -F '\t' '$2 == 1 && $3 == 5 && $5 == 15 && $6 == 10 && $7 >= 20 && $8 == 15 && $9 == 5 {
      good = 1 } END { if (!good) print "not what the window has" }' "$work/report")"
  report "$1_profile" "$(
    [ "$(awk -v n=$((100000 * loops)) '$2 == n' "$work/profile" | wc -l)" = 2 ] ||
      echo "the loop's two instructions are not there")"
}

# What unic stats --cycles says of a running port are instructions there: as many as make bench has
# counted of the same driver (27.7, with the layer's), give or take what compilers differ by.
live() {
  local status=0
  "$root/qemu/run" --icount --env O="$O" --device e1000 -- sh -c '
    "$O/bin/userpci" bind 00:01.0 || exit
    UNIC_CYCLES=1 "$O/bin/unic" gen 00:01.0 --rate 20k --burst 32 --time 2m >/dev/null &
    sleep 4 # its link takes half of that
    "$O/bin/unic" stats 00:01.0 --cycles --interval 0.5 --count 1 &&
    kill $!' >"$work/out" 2>"$work/err" || status=$?
  report icount_live_cycles "$([ $status = 0 ] || echo "status $status"
    sed -n 's/.*"event":"summary".*"tx_cycles_per_packet":\([0-9.]*\).*/\1/p' "$work/out" |
      awk '$1 > 18 && $1 < 45 { good = 1 } END { if (!good) print "not the figure" }')"
}

counted
wanted icount
live
if qemu/emulator 10 >/dev/null 2>&1; then
  counted --emulator 10
  wanted icount_qemu_10
else
  echo "skip icount_qemu_10: there is no QEMU 10"
fi
"$root/qemu/run" --icount --accel kvm -- true >"$work/out" 2>"$work/err"
report icount_kvm "$([ $? = 125 ] && grep -q 'not with --accel kvm' "$work/err" || echo accepted)"
"$root/qemu/run" --icount --cpus 2 -- true >"$work/out" 2>"$work/err"
report icount_cpus "$([ $? = 125 ] && grep -q 'not on 2' "$work/err" || echo accepted)"
"$root/qemu/run" --icount-report /nonexistent/file -- true >"$work/out" 2>"$work/err"
report icount_file "$([ $? = 125 ] && grep -q 'cannot write' "$work/err" || echo accepted)"
exit $failed
