#!/bin/bash
# SPDX-License-Identifier: MIT
# Binding by lspci's filters, and back to the former driver. In a guest with edu, e1000 and e1000e.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

edu=$(address 1234:11e8)
e1000=$(address 8086:100e)
e1000e=$(address 8086:10d3)
driver() {
  basename "$(readlink "/sys/bus/pci/devices/$1/driver" || echo none)"
}

check list_names 0 "82540EM Gigabit Ethernet Controller" userpci list -d 8086:100e
check list_by_slot 0 "1234:11e8" userpci list -s "${edu#0000:}"
check list_by_class 0 "8086:10d3" userpci list -d ::0200
check bind_by_id 0 "$edu" userpci bind -d 1234:11e8
check bound 0 userpci driver "$edu"
check node 0 "/dev/userpci/$edu" ls "/dev/userpci/$edu"
check list_shows_bound 0 "/dev/userpci/$edu" userpci list --bound
check bind_again 0 "$edu" userpci bind "$edu"
check edu_runs 0 "edu: DMA 4096 bytes" edu "$edu"
check unbind 0 "$edu" userpci unbind -d 1234:11e8
check unbound 0 none driver "$edu"
check override_cleared 0 "(null)" cat "/sys/bus/pci/devices/$edu/driver_override"

# The kernel's driver is given back its device.
modprobe e1000
check kernel_driver 0 e1000 driver "$e1000"
check dry_run 0 "$e1000" userpci bind --dry-run "$e1000"
check dry_run_changes_nothing 0 e1000 driver "$e1000"
check bind_from_driver 0 "$e1000" userpci bind "$e1000"
check bound_from_driver 0 userpci driver "$e1000"
check unbind_to_driver 0 "$e1000" userpci unbind "$e1000"
check restored 0 e1000 driver "$e1000"
check interface_back 0 eth ls "/sys/bus/pci/devices/$e1000/net"

# An interface in use is not taken away by mistake.
interface=$(basename /sys/bus/pci/devices/"$e1000"/net/*)
ip link set "$interface" up
check refuses_up 1 "$interface" userpci bind "$e1000"
check refused_stays 0 e1000 driver "$e1000"
check force 0 "$e1000" userpci bind --force "$e1000"
check unbind_forced 0 "$e1000" userpci unbind "$e1000"

# All or nothing: the bridge in the selection keeps the other from being bound.
check several 0 "$e1000e" userpci bind "$edu" "$e1000e"
check unbind_all 0 "$edu" userpci unbind --all
check unbound_all 0 none driver "$e1000e"
finish
