#!/bin/bash
# SPDX-License-Identifier: MIT
# Binding by lspci's filters, and back to the former driver with all its settings. In a guest with
# edu, e1000 and e1000e.
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

# An interface in use is not taken away by mistake, and comes back as it was.
interface() {
  basename /sys/bus/pci/devices/"$e1000"/net/*
}
settings() {
  ip -o link show lan7 | sed 's/^[0-9]*: //'
  ip -o address show dev lan7 scope global | sed 's/^[0-9]*: //'
  ip route show table all dev lan7 | grep -v 'table local'
  ip -6 route show table all dev lan7 | grep -v -e 'table local' -e fe80 -e multicast
}
ip link set "$(interface)" name lan7 mtu 1400 address 02:00:00:00:00:07
check unbind_renames 0 "userpci -> e1000" sh -c "userpci bind $e1000 && userpci unbind $e1000"
check name_restored 0 "mtu 1400" ip link show lan7
check mac_restored 0 "02:00:00:00:00:07" ip link show lan7
ip link set lan7 up
ip address add 10.1.2.3/24 dev lan7
ip -6 address add 2001:db8::3/64 dev lan7 nodad
ip route add default via 10.1.2.1 metric 7
ip -6 route add 2001:db8:1::/48 via 2001:db8::1
# The kernel's own routes come with the carrier.
until [[ $(settings) == *LOWER_UP* ]]; do sleep 0.1; done
before=$(settings)
check refuses_up 3 "lan7 is up; take it down with" userpci bind "$e1000"
check refuses_address 3 "lan7 has the IP address 10.1.2.3/24" userpci bind "$e1000"
check refuses_route 3 "lan7 carries a default route" userpci bind "$e1000"
check refusal_for_scripts 3 '"result":"refused","from":"e1000","to":"e1000"' \
  userpci bind --json "$e1000"
check refused_stays 0 e1000 driver "$e1000"
check force 0 "$e1000: e1000 -> userpci" userpci bind --force "$e1000"
check unbind_forced 0 "$e1000: userpci -> e1000" userpci unbind "$e1000"
for _ in {1..100}; do
  [ "$(settings)" = "$before" ] && break
  sleep 0.1
done
check settings_restored 0 "" diff <(echo "$before") <(settings)
ip link set lan7 down
ip address flush dev lan7

# In a bond an interface has another's MAC address; its own comes back with it.
modprobe bonding max_bonds=0
ip link add bond0 address 02:00:00:00:00:99 type bond
ip link set lan7 master bond0
check refuses_bond 3 "lan7 is a part of bond0" userpci bind "$e1000"
check bond_unbind 0 "userpci -> e1000" \
  sh -c "userpci bind --force $e1000 2>&1 && userpci unbind $e1000"
check bond_restored 0 "master bond0" ip link show lan7
check bond_mac_restored 0 "02:00:00:00:00:07" cat /sys/class/net/lan7/bonding_slave/perm_hwaddr
ip link delete bond0
ip link set lan7 down
check journal_is_empty 0 "lock" ls /run/userpci

# All or nothing: the bridge in the selection keeps the other from being bound.
check several 0 "$e1000e" userpci bind "$edu" "$e1000e"
check unbind_all 0 "$edu" userpci unbind --all
check unbound_all 0 none driver "$e1000e"
check json 0 '"command":"bind","address":"'"$edu"'","result":"bound","from":null,"to":"userpci"' \
  userpci bind --json "$edu" "$e1000e"
check json_unbind 0 '"result":"unbound","from":"userpci","to":null' userpci unbind --json --all

# A failure at the very end undoes it all: here the place of the rules is no directory.
mount -t tmpfs rules /etc/udev
echo nonsense >/etc/udev/rules.d
check all_or_none 1 "$e1000: put back to e1000" userpci bind --persist "$edu" "$e1000"
check all_or_none_driver 0 e1000 driver "$e1000"
check all_or_none_other 0 none driver "$edu"
check all_or_none_journal 0 "lock" ls /run/userpci
finish
