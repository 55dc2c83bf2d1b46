#!/bin/bash
# SPDX-License-Identifier: MIT
# What keeps devices from being bound, on devices in all kinds of use. Boots a guest with them, and
# is what runs in it (guest).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# What is behind a bridge to PCI is in one IOMMU group. The NVMe disk has several paths: its name is
# not below its controller's in sysfs.
run_guest() {
  local work
  work=$(mktemp -d)
  truncate -s 64M "$work/virtio" "$work/nvme"
  qemu/run --timeout 240 --iommu --env O="$O" --device e1000 --device VGA \
    --device virtio-blk-pci,drive=virtio \
    --device nvme-subsys,id=paths --device nvme,serial=1,subsys=paths \
    --device nvme-ns,drive=nvme,shared=on \
    --device pcie-pci-bridge,id=old --device edu,bus=old,addr=1 \
    --device e1000-82545em,bus=old,addr=2 \
    --qemu -drive --qemu "if=none,id=virtio,format=raw,file=$work/virtio" \
    --qemu -drive --qemu "if=none,id=nvme,format=raw,file=$work/nvme" \
    -- "$0" guest
  status=$?
  rm -rf "$work"
  exit $status
}

# words DEVICE [OPTION]...: why it would be refused, with "!" where --force does not help.
words() {
  userpci bind --dry-run --json "$@" 2>/dev/null |
    grep -o '"word":"[^"]*","force":[a-z]*' | sed 's/"word":"//; s/",.*true//; s/",.*/!/' |
    paste -sd ' '
}

# expect NAME WORDS DEVICE [OPTION]...
expect() {
  local name=$1 wanted=$2 found
  shift 2
  found=$(words "$@")
  if [ "$found" = "$wanted" ]; then
    echo "ok $name"
  else
    echo "not ok $name: '$found', not '$wanted'"
    failures=$((failures + 1))
  fi
}

interfaces() {
  local e1000=$1
  expect net_idle "" "$e1000"
  ip link set eth0 up
  expect net_up "interface-up" "$e1000"
  ip address add 10.0.0.2/24 dev eth0
  expect net_address "interface-up interface-address" "$e1000"
  ip route add default via 10.0.0.1
  expect net_default_route "interface-up interface-address default-route" "$e1000"
  SSH_CONNECTION='10.0.0.9 4000 10.0.0.2 22' \
    expect net_ssh "interface-up interface-address default-route ssh" "$e1000"
  # As by sudo: the variable is only the parent's.
  check net_ssh_of_the_parent 3 "eth0 carries the ssh session" \
    env SSH_CONNECTION='10.0.0.9 4000 10.0.0.2 22' \
    sh -c "env -u SSH_CONNECTION userpci bind --dry-run $e1000; exit \$?"
  ip link add link eth0 name eth0.7 type vlan id 7
  expect net_vlan "interface-up interface-address stacked! default-route" "$e1000"
  ip link delete eth0.7
  ip address flush dev eth0
  ip link add br0 type bridge
  ip link set eth0 master br0
  expect net_bridge "interface-up enslaved" "$e1000"
  ip link set br0 up
  ip address add 10.0.0.2/24 dev br0
  ip route add default via 10.0.0.1
  expect net_route_by_bridge "interface-up enslaved default-route" "$e1000"
  check net_route_by_bridge_says_so 3 "eth0, by br0, carries a default route" \
    userpci bind --dry-run "$e1000"
  ip link delete br0
  ip link set eth0 down
  ip netns add elsewhere
  ip link set eth0 netns elsewhere
  expect net_namespace "namespace!" "$e1000"
  ip -n elsewhere link set eth0 netns 1
  expect net_idle_again "" "$e1000"
}

# A partition table with one partition, of 10 MB from 1 MB on.
partition() {
  printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\120\0\0' |
    dd of="$1" bs=1 seek=446 conv=notrunc status=none
  printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
  blockdev --rereadpt "$1"
}

disks() {
  local disk=$1 holder
  expect disk_idle "" "$disk"
  mkfs.ext4 -q /dev/vda
  mount /dev/vda /mnt
  expect disk_mounted "mounted!" "$disk"
  check disk_mounted_and_forced 3 "vda is mounted at /mnt; unmount it first" \
    userpci bind --force "$disk"
  # A mount that shows nowhere: undone while it is busy.
  (cd /mnt && exec sleep 1000) &
  holder=$!
  umount -l /mnt
  expect disk_claimed "claimed!" "$disk"
  kill "$holder"
  wait "$holder" 2>/dev/null
  # Another namespace's.
  unshare -m sh -c 'mount /dev/vda /mnt && touch /run/mounted && exec sleep 1000' &
  holder=$!
  while [ ! -e /run/mounted ]; do sleep 0.1; done
  expect disk_of_a_container "mounted!" "$disk"
  check disk_of_a_container_says_so 3 "mounted at /mnt in the mount namespace of pid $holder" \
    userpci bind --dry-run "$disk"
  kill "$holder"
  wait "$holder" 2>/dev/null
  mkswap /dev/vda >/dev/null
  swapon /dev/vda
  expect disk_swap "swap!" "$disk"
  swapoff /dev/vda
  losetup /dev/loop0 /dev/vda
  expect disk_loop "holder!" "$disk"
  losetup -d /dev/loop0
  dmsetup --noudevsync --noudevrules create upon --table '0 40960 linear /dev/vda 0'
  expect disk_dm "holder!" "$disk"
  mkfs.ext4 -q /dev/dm-0
  mount /dev/dm-0 /mnt
  check disk_dm_mounted 3 "vda is part of dm-0 (upon), which is mounted at /mnt" \
    userpci bind --dry-run "$disk"
  umount /mnt
  dmsetup --noudevsync remove upon
  partition /dev/vda
  mkfs.ext4 -q /dev/vda1
  mount /dev/vda1 /mnt
  check disk_partition 3 "vda1 is mounted at /mnt" userpci bind --dry-run "$disk"
  umount /mnt
  exec 7</dev/vda
  expect disk_open "process!" "$disk"
  exec 7<&-
  expect disk_idle_again "" "$disk"
}

paths() {
  local nvme=$1
  expect nvme_idle "" "$nvme"
  mkfs.ext4 -q /dev/nvme0n1
  mount /dev/nvme0n1 /mnt
  [ -e "/sys/bus/pci/devices/$nvme/nvme/nvme0/nvme0c0n1" ] ||
    echo "not ok nvme_paths: the guest's disk has but one path"
  expect nvme_mounted "mounted!" "$nvme"
  umount /mnt
}

displays() {
  local vga=$1
  expect display_console "console console" "$vga"
  echo 0 >/sys/class/vtconsole/vtcon1/bind
  expect display_of_the_boot "console" "$vga"
  exec 7<>/dev/dri/card0
  expect display_client "console process!" "$vga"
  exec 7<&-
}

processes() {
  local edu=$1
  exec 7<>"/sys/bus/pci/devices/$edu/resource0"
  check process_by_sysfs 3 "resource0 is open in pid $$" userpci bind "$edu"
  exec 7<&-
  modprobe uio_pci_generic
  check process_bind_uio 0 "no driver -> uio_pci_generic" \
    userpci bind --driver uio_pci_generic "$edu"
  exec 7<>/dev/uio0
  check process_by_uio 3 "uio0 is open in pid $$" userpci bind --force "$edu"
  check process_by_uio_unbind 3 "uio0 is open in pid $$" userpci unbind --force "$edu"
  exec 7<&-
  # From one to the other, and back to what was before both.
  check process_rebind 0 "uio_pci_generic -> userpci" userpci bind "$edu"
  exec 7<>"/dev/userpci/$edu"
  check process_unbind 3 "it is open in pid $$" userpci unbind "$edu"
  check process_unbind_forced 0 "userpci -> no driver" userpci unbind --force "$edu"
  exec 7<&-
  check process_no_override 0 "(null)" cat "/sys/bus/pci/devices/$edu/driver_override"
}

groups() {
  local edu=$1 sibling=$2
  modprobe vfio-pci
  expect group_no_matter "" "$edu"
  expect group_sibling "group" "$edu" --driver vfio-pci
  expect group_together "" "$edu" "$sibling" --driver vfio-pci
  check group_bind 0 "$sibling: e1000 -> vfio-pci" \
    userpci bind --driver vfio-pci "$edu" "$sibling"
  exec 7<>"/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$edu/iommu_group")")"
  check group_open 3 "is open in pid $$" userpci unbind --force "$sibling"
  exec 7<&-
  check group_unbind 0 "$sibling: vfio-pci -> e1000" userpci unbind "$edu" "$sibling"
}

[ $# = 0 ] && run_guest
modprobe -a e1000 virtio_blk nvme bochs dm_mod loop
address 1af4:1001 >/sys/bus/pci/drivers/virtio-pci/bind
until [ -b /dev/vda ] && [ -b /dev/nvme0n1 ] && [ -e /dev/dri/card0 ]; do
  sleep 0.1
done
interfaces "$(address 8086:100e)"
disks "$(address 1af4:1001)"
paths "$(address 1b36:0010)"
displays "$(address 1234:1111)"
processes "$(address 1234:11e8)"
groups "$(address 1234:11e8)" "$(address 8086:100f)"
expect host_files "claimed!" 00:1d.0
expect host_bridge "bridge!" 00:00.0
finish
