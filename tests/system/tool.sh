#!/bin/bash
# SPDX-License-Identifier: MIT
# userpci at the bench, on the module: looking beside an owner, changing, counting. In a guest with
# edu, e1000 and e1000e.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

edu=$(address 1234:11e8)
e1000=$(address 8086:100e)
e1000e=$(address 8086:10d3)

nobody() {
  setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# --- Unbound: what sysfs says ---

modprobe e1000
check list_line 0 "driver=e1000" userpci list "$e1000"
check list_columns 0 "owner=- group=- numa=- bind=yes" userpci list "$edu"
check list_details 0 "Kernel modules: e1000" userpci list -k "$e1000"
check list_subsystem 0 "Subsystem: 1af4:1100" userpci list -k "$e1000"
interface=$(basename /sys/bus/pci/devices/"$e1000"/net/*)
ip link set "$interface" up
check list_busy 0 "bind=busy" userpci list "$e1000"
check list_why_busy 0 "bind: busy: $interface" userpci list -k "$e1000"
check list_json_busy 0 '"bind":"busy"' userpci list --json "$e1000"
ip link set "$interface" down
check show_unbound 0 "2: 32 bytes, io, at 0x" userpci show "$e1000e"
check show_not_root 0 "run as root" nobody userpci show "$e1000e"
check top_chosen 0 "$e1000 backend=- " userpci top --count 1 "$e1000"
check peek_unbound 1 "userpci bind $edu" userpci peek "$edu" ID

# Where lspci finds capabilities, of each device.
offsets_of_lspci() {
  lspci -D -vv | sed -n 's/^\(....:..:..\..\) .*/\1/p; s/.*Capabilities: \[\([0-9a-f]*\).*/\1/p'
}
offsets_of_show() {
  local device
  for device in $(lspci -D | cut -d ' ' -f 1); do
    echo "$device"
    userpci show "$device" | sed -n 's/^\t\t\[\([0-9a-f]*\)\] .*/\1/p'
  done
}
offsets_of_lspci >/tmp/lspci
offsets_of_show >/tmp/show
check show_capabilities_as_lspci 0 "" diff /tmp/lspci /tmp/show
check show_capabilities_are_many 0 many sh -c "[ \$(wc -l </tmp/show) -gt 15 ] && echo many"

# --- Bound ---

check bind 0 "$e1000e: no driver -> userpci" userpci bind "$edu" "$e1000" "$e1000e"
check list_bound 0 "stub=bound" userpci list "$edu"
check list_free 0 "owner=-" userpci list "$edu"
check list_json_bound 0 "\"bind\":\"bound\",\"bind_reason\":null,\"claimed\":true,\"node\":\"/dev" \
  userpci list --json "$edu"
check peek 0 "BAR0 ID (0x0000) = 0x010000ed" userpci peek "$edu" ID
# edu has no reset: what is written stays, as does what is only looked at.
check poke 0 "= 0xedcba987" userpci poke "$edu" LIVENESS=0x12345678 LIVENESS
check peek_disturbs_nothing 0 "LIVENESS (0x0004) = 0xedcba987" userpci peek "$edu" LIVENESS
check dump 0 "00000000: 11e81234" userpci dump "$edu"
check dump_file 0 "" userpci dump --region 0 --names --output /tmp/dump "$edu"
check poke_other 0 "" userpci poke "$edu" LIVENESS=0
check diff 3 "BAR0 LIVENESS (0x0004): 0xedcba987 -> 0xffffffff (0x12345678)" \
  userpci diff /tmp/dump "$edu"
check watch 0 "-> 0x00000000 after" userpci watch "$edu" STATUS --mask 1 --value 0 FACTORIAL=3
check watch_timeout 3 "still 0x010000ed" userpci watch "$edu" ID --timeout 50ms
check irq_intx 0 "INTx: 1 interrupt in" userpci irq "$edu" --kind intx --ack IRQ_ACK=1 --count 1 \
  --timeout 20 IRQ_RAISE=1
check irq_msi 0 "MSI: 1 interrupt in" userpci irq "$edu" --kind msi --count 1 --timeout 20 \
  IRQ_RAISE=1
# IVAR gives e1000e's other causes to vector 3, IMS lets them in, ICS is one.
check irq_msix 0 "vector 3: 1" userpci irq "$e1000e" --kind msix --vectors 4 --count 1 \
  --timeout 20 0xe4=0x000b0000 0xd0=0x01000000 0xc8=0x01000000
check poke_msix_table 1 "BAR3 0x0000: is the kernel's to write" userpci poke "$e1000e" 3:0=1
check poke_msix_pba 0 "" userpci poke "$e1000e" 3:0x2000=0
check peek_io 0 "BAR2 0x0000 = 0x" userpci peek "$e1000e" 2:0
check poke_guarded 1 "is the kernel's to write" userpci poke "$edu" config:COMMAND=0
check reset 0 "$e1000e: reset" userpci reset "$e1000e"
check reset_none 1 "no reset of its own" userpci reset "$edu"
check show_bound 0 "Vectors: INTx 1, MSI 1, MSI-X 0" userpci show "$edu"
check show_counts 0 "vector 0: 2 since bind" userpci show "$edu"
check show_events 0 "reset 0, " userpci show "$e1000e"

# --- Beside an owner ---

userpci irq "$edu" --json IRQ_RAISE=1 >/tmp/irq 2>&1 &
owner=$!
within grep -q interrupt /tmp/irq
unic echo "$e1000" --ip 10.0.0.1 >/tmp/echo 2>&1 &
nic=$!
within grep -q ready /tmp/echo
check list_owner 0 "owner=$owner" userpci list "$edu"
check list_owner_name 0 "Owner: process $owner (userpci)" userpci list -k "$edu"
check peek_beside 0 "0x010000ed" userpci peek "$edu" ID
check dump_beside 0 "00000000: 11e81234" userpci dump "$edu"
check diff_beside 0 "" userpci diff --region 0 --length 0x80 "$edu"
check peek_io_beside 1 "in use by process $nic" userpci peek "$e1000" 1:0
check poke_beside 1 "in use by process $owner" userpci poke "$edu" LIVENESS=1
check show_beside 0 "1 vector of MSI enabled" userpci show "$edu"
check show_dma 0 "buffer 1: " userpci show "$e1000"
check top_text 0 "$edu backend=stub state=owned owner=$owner(userpci) dma=0 maps=" \
  userpci top --text --count 1
check top_irq 0 "irq=MSI/1 total=3 rate=- vectors=0:3 storms=0" userpci top --count 1 "$edu"
check top_dma 0 "dma=[1-9]" sh -c \
  "userpci top --count 1 $e1000 | grep -q 'dma=[1-9]' && echo 'dma=[1-9]'"
check top_json 0 "3 owners" python3 - <<PYTHON
import json, subprocess
lines = subprocess.run(["userpci", "top", "--json", "--count", "2", "--interval", "0.1"],
                       capture_output=True, text=True, check=True).stdout.splitlines()
first, second = (json.loads(line) for line in lines)
assert first["devices"][0]["rate"] is None and second["devices"][0]["rate"] == 0
devices = {d["address"]: d for d in second["devices"]}
assert devices["$edu"]["owner"] == {"pid": $owner, "command": "userpci"}, devices
assert devices["$edu"]["interrupts"] == [3] and devices["$edu"]["irq_kind"] == "MSI", devices
assert devices["$e1000"]["owner"]["pid"] == $nic and devices["$e1000"]["dma_bytes"] > 0, devices
assert devices["$e1000e"]["state"] == "free" and devices["$e1000e"]["owner"] is None, devices
print(len(devices), "owners")
PYTHON

# With the right to read the node nobody looks, too, and sees all of configuration space.
chmod 644 "/dev/userpci/$edu"
check peek_not_root 0 "0x010000ed" nobody userpci peek "$edu" ID
check show_not_root_bound 0 "[40] MSI: enabled+" nobody userpci show "$edu"
check top_not_root 0 "owner=$owner(userpci)" nobody userpci top --count 1 "$edu"
check poke_not_root 1 "no permission on" nobody userpci poke "$edu" LIVENESS=1
chmod 600 "/dev/userpci/$edu"
check peek_no_permission 1 "no permission on" nobody userpci peek "$edu" ID
check top_no_permission 0 "owner=-" nobody userpci top --count 1 "$edu"

# An owner that is killed, and a device that goes while it is looked at.
kill -KILL "$owner"
wait "$owner" 2>/dev/null
kill -INT "$nic"
wait "$nic"
check usable_after_kill 0 "0x010000ed" userpci poke "$edu" ID
userpci top --json --interval 0.1 >/tmp/top 2>&1 &
top=$!
userpci watch "$edu" ID >/tmp/watch 2>&1 &
watch=$!
within grep -q "$edu" /tmp/top
# Interrupts of other owners meanwhile, until a rate is told.
rate() {
  userpci irq "$edu" --kind msi --count 1 --timeout 20 IRQ_RAISE=1 &&
    grep -q '"rate":\(0\.0*[1-9]\|[1-9]\)' /tmp/top
}
check top_rate 0 "" within rate
within ls "/proc/$watch/fd"
check unbind_beside 0 "$edu: userpci -> no driver" userpci unbind --force "$edu"
wait "$watch"
check watch_gone 0 "status 1" echo "status $?"
check watch_says_so 0 "userpci: $edu: watch: the device is gone" cat /tmp/watch
absent() {
  tail -n 1 /tmp/top | grep -q '"devices":\[' && ! tail -n 1 /tmp/top | grep -q "$edu"
}
check top_goes_on 0 "" within absent
kill -INT "$top"
wait "$top"
check top_ends 0 "status 0" echo "status $?"
check unbind 0 "$e1000" userpci unbind --all
finish
