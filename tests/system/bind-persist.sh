#!/bin/bash
# SPDX-License-Identifier: MIT
# A binding that outlives a restart: written in one guest, in force in the next, in which udev looks
# for devices as it does when a system starts. Boots them, and is what runs in them (write, again).
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

boot() {
  qemu/run --timeout 200 --env O="$O" --share "$work" --device edu --device e1000 \
    -- "$0" "$1" "$work"
}

driver() {
  basename "$(readlink "/sys/bus/pci/devices/$1/driver" || echo none)"
}

# What is on disk, and so there at the next start.
mount_disk() {
  mkdir -p "$work/rules" "$work/lib" /etc/udev/rules.d /var/lib/userpci
  mount -o bind "$work/rules" /etc/udev/rules.d
  mount -o bind "$work/lib" /var/lib/userpci
}

write() {
  modprobe e1000
  ip link set "$(basename /sys/bus/pci/devices/"$e1000"/net/*)" name lan7 mtu 1400
  check persist 0 "$e1000: rule written, for this device in this slot" \
    userpci bind --persist "$e1000"
  check persist_rule 0 "KERNEL==\"$e1000\", ATTR{vendor}==\"0x8086\", ATTR{device}==\"0x100e\"" \
    cat "/etc/udev/rules.d/10-userpci-$e1000.rules"
  check persist_by_id 0 "$edu: rule written, for all devices of this kind" \
    userpci bind --persist --by-id "$edu"
  check persist_rule_by_id 0 "ATTR{subsystem_device}==\"0x1100\"" \
    cat /etc/udev/rules.d/10-userpci-1234:11e8:1af4:1100.rules
  check persist_other 1 "is another; --forget that first" \
    sh -c "userpci unbind $edu && modprobe uio_pci_generic &&
      userpci bind --driver uio_pci_generic --persist --by-id $edu"
}

# coldplug: what systemd does at a start.
coldplug() {
  udevadm trigger --type=subsystems --action=add
  udevadm trigger --type=devices --action=add
  udevadm settle
}

again() {
  local module
  module=$(find "$O/kernel/$(uname -r)" -name userpci.ko)
  rmmod userpci
  /lib/systemd/systemd-udevd --daemon
  coldplug
  # e1000 is loaded, for udev knows that it fits, and finds the device taken.
  check again_former_loaded 0 e1000 ls /sys/bus/pci/drivers
  check again_claimed 0 userpci cat "/sys/bus/pci/devices/$e1000/driver_override"
  check again_not_taken 0 none driver "$e1000"
  insmod "$module"
  check again_bound 0 userpci driver "$e1000"
  check again_bound_by_id 0 userpci driver "$edu"
  check again_listed 0 "was e1000" userpci list --bound "$e1000"
  check again_edu_runs 0 "edu: DMA 4096 bytes" edu "$edu"

  # Given back for now; what was there before the restart is known.
  check again_unbind 0 "a rule binds it again at the next start" userpci unbind "$e1000"
  check again_unbound 0 e1000 driver "$e1000"
  check again_interface 0 "mtu 1400" ip link show lan7

  # A driver that was there first: the rule has the tool bind it, which looks whether it is in use.
  ip link set lan7 up
  coldplug
  check again_in_use 0 e1000 driver "$e1000"
  ip link set lan7 down
  # Of the failed attempt.
  userpci unbind "$e1000" >/dev/null 2>&1
  coldplug
  check again_by_the_tool 0 userpci driver "$e1000"

  # Pulled out and put in.
  echo 1 >"/sys/bus/pci/devices/$e1000/remove"
  echo 1 >/sys/bus/pci/rescan
  udevadm settle
  check again_plugged_in 0 userpci driver "$e1000"

  check forget 0 "$e1000: rule removed" userpci unbind --forget "$e1000"
  check forget_driver 0 e1000 driver "$e1000"
  check forget_interface 0 "mtu 1400" ip link show lan7
  check forget_by_id 0 "$edu: rule removed" userpci unbind --forget "$edu"
  check forget_all 0 "." sh -c 'ls /etc/udev/rules.d /var/lib/userpci | grep -v :$; echo .'
  udevadm control --reload # it would notice by itself, in three seconds
  coldplug
  check forgotten 0 e1000 driver "$e1000"
  check forget_unknown 3 "it is not bound to userpci, but to e1000" userpci unbind --forget "$e1000"
}

case ${1:-} in
write | again)
  work=$2
  edu=$(address 1234:11e8)
  e1000=$(address 8086:100e)
  mount_disk
  "$1"
  finish
  ;;
*)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  boot write && boot again
  ;;
esac
