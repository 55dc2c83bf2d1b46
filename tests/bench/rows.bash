# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The rows of the benchmark, and the machines that they are measured on. Sourced by tests/bench/run,
# never run.

bursts=(1 8 32 64)

# NAME QEMU SPEC LONE STACKS: a NIC, as QEMU's option -device says it; the one that is connected to
# nothing has the properties LONE besides. QEMU `-` is the system's.
nics=(
  "e1000 - e1000 - userpci,dpdk,dpdk-best,kernel"
  "e1000e - e1000e - userpci,dpdk,dpdk-best,kernel"
  "igb 10 igb - userpci,dpdk,dpdk-best,kernel"
  "virtio-net - virtio-net-pci - userpci,dpdk,dpdk-best,kernel"
  "virtio-net-packed - virtio-net-pci,packed=on - userpci,dpdk,dpdk-best,kernel"
  # What DPDK's virtio driver is fastest on: its vectorized receiver wants no mergeable buffers.
  "virtio-net-tuned 10 virtio-net-pci,mrg_rxbuf=off in_order=on userpci,dpdk-best"
)

# The workloads of an interrupt of some kind: irq_rows STACK MACHINE KIND...
irq_rows() {
  local kind workload
  for kind in "${@:3}"; do
    for workload in raise polled ack cycle blocked blocked-rt; do
      echo "$1/edu/irq-$kind-$workload $2"
    done
  done
}

call_rows() {
  local workload
  for workload in open close dma-4K-alloc dma-4K-free dma-2M-alloc dma-2M-free; do
    echo "$1/edu/$workload $2"
  done
}

bar_rows() {
  local size workload
  for size in 256M 1024M; do
    for workload in map touch unmap all; do
      echo "$1/pci-testdev@$3/bar-$size-$workload $2"
    done
  done
}

nic_rows() {
  local row name rest stacks stack workload burst
  for row in "${nics[@]}"; do
    name=${row%% *} stacks=${row##* }
    for stack in ${stacks//,/ }; do
      for workload in tx rx forward; do
        for burst in "${bursts[@]}"; do
          # The vectorized receiver takes eight at a time.
          [ "$stack/$name/$burst" != dpdk-best/virtio-net-tuned/1 ] || continue
          echo "$stack/$name/$workload/$burst $name"
        done
      done
    done
  done
}

# NIC QUEUES RINGS: on what it is counted that more of something does not make a packet dearer; with
# rings `-` of queues only.
# QEMU: virtio-net's transmit ring has 256 descriptors at most.
scales=(
  "e1000 1 64,256,1024,4096"
  "e1000e 1,2 -"
  "igb 1,2,4 64,256,1024,4096"
  "virtio-net 1,2,4 64,256"
)

scale_rows() {
  local row name queues rings value
  for row in "${scales[@]}"; do
    read -r name queues rings <<<"$row"
    for value in ${queues//,/ }; do
      echo "userpci/$name/scale-queues-$value/32 scale-$name"
    done
    [ "$rings" != - ] || continue
    for value in ${rings//,/ }; do
      echo "userpci/$name/scale-ring-$value/32 scale-$name"
    done
    for value in size-64 size-1514 ports-1 ports-2 ports-4; do
      echo "userpci/$name/scale-$value/32 scale-$name"
    done
  done
}

# Prints "ROW MACHINE" for all rows.
all_rows() {
  local kernel
  nic_rows
  scale_rows
  irq_rows userpci edu msi msi-eventfd intx intx-write intx-eventfd
  irq_rows uio_pci_generic edu intx
  irq_rows vfio-pci edu-iommu msi
  call_rows userpci edu
  call_rows uio_pci_generic edu
  call_rows vfio-pci edu-iommu
  for kernel in 6.1 6.12; do
    bar_rows userpci "bar-$kernel" "$kernel"
    bar_rows sysfs "bar-$kernel" "$kernel"
    bar_rows vfio-pci "bar-$kernel-iommu" "$kernel"
  done
  echo "userpci/qemu:edu/open host"
  echo "dpdk/e1000/wall-forward/32 wall-e1000"
  echo "dpdk/virtio-net/wall-forward/32 wall-virtio-net"
}

# Prints those of standard input whose name contains one of the patterns.
matching() {
  local row name pattern
  while read -r row name; do
    for pattern; do
      # shellcheck disable=SC2053  # a pattern it is
      [[ $row != *$pattern* ]] || {
        echo "$row $name"
        break
      }
    done
  done
}

# jobs ROW...: as tests/bench/guest takes them, "STACK:PROGRAM" or "STACK:WORKLOAD:BURST,BURST...".
jobs() {
  printf '%s\n' "$@" | awk -F / '
    function job(name, burst) {
      if (!(name in bursts)) {
        order[++count] = name
        bursts[name] = burst
      } else if (burst != "") {
        bursts[name] = bursts[name] "," burst
      }
    }
    NF == 4 { job($1 ":" $3, $4); next }
    $3 ~ /^irq-/ { job($1 ":irq"); next }
    $3 ~ /^bar-/ { job($1 ":bar"); next }
    { job($1 ":calls") }
    END {
      for (i = 1; i <= count; i++)
        print order[i] (bursts[order[i]] == "" ? "" : ":" bursts[order[i]])
    }'
}

# The slots of the three NICs of a machine: the first is connected to nothing, and a cable is
# between the other two. QEMU: an igb needs the slot behind its own for its virtual functions.
# A machine of the scale- rows has three more that are connected to nothing; slots above 0a are then
# those of virtual functions.
lone=02.0 near=04.0 far=06.0
more_lone=(08.0 0a.0 0a.1)

# find_nic NAME: sets $words to its line.
find_nic() {
  local row
  for row in "${nics[@]}"; do
    read -ra words <<<"$row"
    [ "${words[0]}" != "$1" ] || break
  done
}

# nic_options NAME: for three of these.
nic_options() {
  local properties
  local -a words
  find_nic "$1"
  [ "${words[1]}" = - ] || options+=(--emulator "${words[1]}")
  properties=addr=$lone
  [ "${words[3]}" = - ] || properties+=,${words[3]}
  options+=(--device "${words[2]},$properties")
  options+=(--qemu -netdev --qemu hubport,id=near,hubid=0)
  options+=(--qemu -netdev --qemu hubport,id=far,hubid=0)
  options+=(--device "${words[2]},addr=$near,netdev=near")
  options+=(--device "${words[2]},addr=$far,netdev=far")
}

# scale_options NAME: for the scale- rows. See tests/bench/taps for virtio-net's.
scale_options() {
  local address tap
  local -a words
  if [ "$1" != virtio-net ]; then
    nic_options "$1"
  else
    for tap in 0 1; do
      options+=(--qemu -netdev --qemu
        "tap,id=tap$tap,ifname=tap$tap,script=no,downscript=no,vhost=off,queues=4")
    done
    options+=(--device "virtio-net-pci,addr=$far,netdev=tap0,mq=on,vectors=10")
    options+=(--device "virtio-net-pci,addr=$lone,netdev=tap1,mq=on,vectors=10")
  fi
  find_nic "$1"
  for address in "${more_lone[@]}"; do
    options+=(--device "${words[2]},addr=$address,multifunction=on")
  done
}

# machine_options MACHINE REPORT: adds to $options what qemu/run needs for it; the plugin's counts
# go to REPORT.
machine_options() {
  local kernel=6.1
  case $1 in
  *-iommu) options+=(--iommu --module none) ;;
  esac
  case $1 in
  # A host that is too busy for the guest's watchdogs is no fault of anything here.
  wall-*) options+=(--memory 1024 --allow-log 'lockup|stalls? on CPU|detected stalls') ;;
  bar-*) options+=(--icount) ;; # some ten million instructions a window: the plugin is too slow
  *) options+=(--icount-report "$2") ;;
  esac
  case $1 in
  edu*) options+=(--device edu) ;;
  bar-*)
    kernel=${1#bar-}
    options+=(--device pci-testdev,membar=256M --device pci-testdev,membar=1G)
    ;;
  scale-*) scale_options "${1#scale-}" ;;
  *) nic_options "${1#wall-}" ;;
  esac
  options+=(--kernel "${kernel%-iommu}")
}
