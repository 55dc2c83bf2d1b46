#!/bin/bash
# SPDX-License-Identifier: MIT
# Where an IOMMU translates, who may open a device's node needs no privilege: the commands of
# userpci as nobody, on the module and on vfio-pci. Boots a guest with an IOMMU, edu and e1000e, and
# is what runs in it (guest).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

nobody() {
  setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# commands BACKEND NUMBER: on the device at $edu, whatever has it.
commands() {
  check "$1_peek" 0 "0x010000ed" nobody userpci peek "$edu" ID
  check "$1_poke" 0 "= 0xfffffffe" nobody userpci poke "$edu" LIVENESS=1 LIVENESS
  check "$1_dump" 0 "11e81234" nobody userpci dump "$edu"
  check "$1_diff" 3 "FACTORIAL (0x0008): 0x" nobody userpci diff --region 0 --offset 8 \
    --length 4 --interval 500ms "$edu" FACTORIAL="$2"
  check "$1_watch" 0 "after" nobody userpci watch "$edu" STATUS --mask 1 --value 0 FACTORIAL=3
  check "$1_irq" 0 "1 interrupt in" nobody userpci irq "$edu" --kind intx --ack IRQ_ACK=1 \
    --count 1 --timeout 20 IRQ_RAISE=1
  check "$1_msi" 0 "1 interrupt in" nobody userpci irq "$edu" --kind msi --count 1 --timeout 20 \
    IRQ_RAISE=1
  check "$1_reset" 1 "no reset of its own" nobody userpci reset "$edu"
  check "$1_show" 0 "DMA is confined: yes" nobody userpci show "$1:$edu"
  check "$1_list" 0 "$1=bound" nobody userpci list "$edu"
  check "$1_top" 0 "backend=$1" nobody userpci top --count 1 "$edu"
}

# Who shares a group with a device of the kernel's reaches that one's buffers as well.
neighbour() {
  userpci bind "$shared" >/dev/null || echo "not ok bind"
  chmod 666 "/dev/userpci/$shared"
  check stub_alone_in_its_group 0 "= 0xfffffffe" nobody userpci poke "$shared" LIVENESS=1 LIVENESS
  modprobe e1000
  [ -e "/sys/bus/pci/drivers/e1000/$card" ] || echo "$card" >/sys/bus/pci/drivers/e1000/bind
  check stub_has_a_neighbour 1 "it shares its IOMMU group with $card, which is bound to e1000" \
    nobody userpci poke "$shared" LIVENESS=1
  check stub_observes_a_neighbour 0 "0x010000ed" nobody userpci peek "$shared" ID
  check stub_root_has_a_neighbour 0 "= 0xfffffffd" userpci poke "$shared" LIVENESS=2 LIVENESS
  echo "$card" >/sys/bus/pci/drivers/e1000/unbind
  check stub_neighbour_left 0 "= 0xfffffffe" nobody userpci poke "$shared" LIVENESS=1 LIVENESS
  userpci unbind "$shared" >/dev/null || echo "not ok unbind"
}

guest() {
  shared=0000:00:08.0 card=0000:00:08.1
  edu=$(address 1234:11e8)
  userpci bind "$edu" >/dev/null || echo "not ok bind"
  check stub_not_allowed 1 "no permission on /dev/userpci/$edu" nobody userpci peek "$edu" ID
  # As the udev rule does it.
  chgrp 42 "/dev/userpci/$edu" && chmod 660 "/dev/userpci/$edu"
  check stub_not_in_the_group 1 "or join the group that 'ls -l' shows" \
    nobody userpci peek "$edu" ID
  chgrp 65534 "/dev/userpci/$edu" && chmod 660 "/dev/userpci/$edu"
  commands stub 4
  check stub_group 0 "IOMMU group: " nobody userpci list -k "$edu"
  neighbour
  userpci unbind "$edu" >/dev/null || echo "not ok unbind"

  modprobe vfio-pci
  echo Y >/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
  userpci bind --driver vfio-pci "$edu" >/dev/null || echo "not ok bind vfio-pci"
  check vfio_not_allowed 1 "no permission on /dev/vfio/" nobody userpci peek "$edu" ID
  chmod 666 /dev/vfio/vfio && chown 65534 /dev/vfio/[0-9]*
  commands vfio 5
  # Of others' devices the kernel's counts tell.
  setpriv --reuid 65534 --regid 65534 --clear-groups userpci irq "$edu" --json IRQ_RAISE=1 \
    >/tmp/irq 2>&1 &
  owner=$!
  until grep -q interrupt /tmp/irq; do sleep 0.1; done
  check vfio_owner 0 "owner=$owner" userpci list "$edu"
  check vfio_top 0 "state=owned owner=$owner(userpci) dma=- maps=- irq=MSI/1 total=" \
    userpci top --count 1
  check vfio_busy 1 "in use by process $owner" userpci peek "$edu" ID
  kill -INT "$owner"
  wait "$owner"
  finish
}

if [ "${1:-}" = guest ]; then
  guest
else
  # The functions of one card are a group, for they may reach each other.
  qemu/run --timeout 300 --iommu --device edu --device e1000e --env O="$O" \
    --device edu,addr=8.0,multifunction=on --device e1000,addr=8.1 -- "$0" guest
fi
