# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# qemu/run: the virtual machine, from options to QEMU's command line. Sourced, never run.
#
# Reads the settings of qemu/run: kernel_dir, initramfs, run_dir, accel, memory, cpus, devices,
# shares, iommu, interactive, net, capture, append, extra, emulator, icount, icount_plugin,
# icount_report, icount_profile.

qemu=${QEMU:-qemu-system-x86_64}

# No user's configuration, no default devices: the machine is what is written here. Without
# -no-reboot a panic would boot again.
base_arguments=(-nodefaults -no-user-config -display none -no-reboot -name userpci)

# An emulated CPU cannot be attacked through speculation, its TSC is exact by construction, and the
# self-tests of the kernel's ciphers cost half a second. panic=-1: restart at once, which -no-reboot
# turns into QEMU's end. All of the log must still be there when the command has ended.
base_append="console=ttyS0 quiet panic=-1 log_buf_len=2M cryptomgr.notests nokaslr mitigations=off"
tcg_append="tsc=reliable no_timer_check"

# With one processor the kernel would remove the prefixes of its locked instructions. Programs are
# always at the same addresses, which the profile names.
icount_append="noreplace-smp norandmaps"

# In QEMU's options a comma ends a value, unless doubled.
escape() {
  printf '%s' "${1//,/,,}"
}

# --- The accelerator ----------------------------------------------------------------------------

# kvm_boots KERNEL_DIR INITRAMFS: whether a guest comes up with KVM within a few seconds. There are
# machines that have /dev/kvm and on which every guest hangs.
kvm_boots() {
  local console status=1
  console=$(mktemp)
  timeout -k 1 5 "$qemu" "${base_arguments[@]}" -machine q35 -accel kvm -cpu max -m 256 \
    -kernel "$1/vmlinux" -initrd "$2" -append "$base_append USERPCI_RUN=" \
    -serial "file:$console" </dev/null >/dev/null 2>&1 || true
  ! grep -q 'userpci-init: probe ok' "$console" || status=0
  rm "$console"
  return $status
}

# choose_accel KERNEL_DIR INITRAMFS: prints kvm or tcg. The probe's answer is kept until the host's
# kernel or QEMU change.
choose_accel() {
  local directory key answer lock
  if ! { [ -r /dev/kvm ] && [ -w /dev/kvm ]; }; then
    echo tcg
    return
  fi
  directory=$(cache_dir)/accel
  key=$({
    uname -rvm
    "$qemu" --version
  } | sha256sum)
  answer=$directory/${key:0:16}
  if [ ! -s "$answer" ]; then
    mkdir -p "$directory"
    exec {lock}>"$directory/.lock"
    flock "$lock"
    if [ ! -s "$answer" ]; then
      say "probing KVM (once for this kernel and QEMU)"
      if kvm_boots "$@"; then echo kvm; else echo tcg; fi >"$answer.new"
      mv "$answer.new" "$answer"
      say "KVM: $(sed 's/kvm/works/; s/tcg/does not work here, guests are emulated/' "$answer")"
    fi
    exec {lock}>&-
  fi
  cat "$answer"
}

# --- The devices --------------------------------------------------------------------------------

# Whether the device SPEC $1 has the property $2.
has_property() {
  "$qemu" -device "${1%%,*},help" 2>/dev/null | grep -q "^ *$2="
}

# Adds to $arguments the runner's own devices. They have the last slots of the bus, so that the
# devices under test have the first, and qemu/init knows them by it.
add_own_devices() {
  local name share number=0
  arguments+=(
    -fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
    -device "virtio-9p-pci,fsdev=host,mount_tag=host,addr=0x1d"
    -device "virtio-serial-pci,id=ports,addr=0x1e"
    -chardev "pipe,id=control,path=$(escape "$run_dir/control")"
    -device "virtserialport,bus=ports.0,chardev=control,name=userpci.control"
  )
  # Files, for they never make the guest wait for whoever reads what it prints.
  for name in stdout stderr log; do
    arguments+=(
      -chardev "file,id=$name,path=$(escape "$run_dir/$name")"
      -device "virtserialport,bus=ports.0,chardev=$name,name=userpci.$name"
    )
  done
  for share in "${shares[@]}"; do
    arguments+=(
      -fsdev "local,id=share$number,path=$(escape "$share"),security_model=none,multidevs=remap"
      -device "virtio-9p-pci,fsdev=share$number,mount_tag=share$number,multifunction=on"
    )
    arguments[-1]+=",addr=0x1c.$number"
    number=$((number + 1))
  done
}

add_console() {
  local log
  log=$(escape "$run_dir/console")
  if $interactive; then
    arguments+=(-chardev "stdio,id=console,signal=off,logfile=$log")
  else
    arguments+=(-chardev "file,id=console,path=$log")
  fi
  arguments+=(-serial chardev:console)
}

# One instruction is one nanosecond of virtual time, and of the TSC. The processor is named because
# it matters: with "fast strings" the kernel's copies are other instructions.
add_icount() {
  local plugin
  arguments+=(-cpu Nehalem -icount shift=0)
  kernel_line+=" $icount_append"
  [ -n "$icount_plugin" ] || return 0
  plugin=$(escape "$icount_plugin")
  [ -z "$icount_report" ] || plugin+=",report=$(escape "$icount_report")"
  [ -z "$icount_profile" ] || plugin+=",profile=$(escape "$icount_profile")"
  arguments+=(-plugin "$plugin")
}

# QEMU: with a thread for each processor it sends a register access astray when the memory map
# changes meanwhile: an interrupt is never acknowledged, and that processor has no timer any more;
# or QEMU fails an assertion of its own (iotlb_to_section). Seen with versions 7.2 and 10. With one
# thread for all, version 7.2 leaves the memory barriers out that a driver of virtio relies on.
has_one_thread() {
  [ "$accel" = tcg ] || return 1
  [ "$emulator" = 10 ] || [[ "${devices[*]} ${extra[*]}" != *virtio* ]]
}

# Sets $arguments to QEMU's, and $mac to the address of the device that got the network.
machine_arguments() {
  local device kernel_line=$base_append accelerator=$accel
  ! has_one_thread || accelerator+=,thread=single
  arguments=("${base_arguments[@]}" -m "$memory" -smp "$cpus" -accel "$accelerator")
  if $icount; then
    add_icount
  else
    # Like the hardware of today, five-level page tables aside.
    arguments+=(-cpu max,la57=off)
  fi
  [ "$accel" = kvm ] || kernel_line+=" $tcg_append"
  if $iommu; then
    # Before all other devices: it must be there when they ask for their address space.
    arguments+=(-machine q35,kernel-irqchip=off -device intel-iommu,intremap=off)
    kernel_line+=" intel_iommu=on"
  else
    arguments+=(-machine q35)
  fi
  kernel_line+=" USERPCI_RUN=\"$run_dir\""
  arguments+=(-kernel "$kernel_dir/vmlinux" -initrd "$initramfs")
  arguments+=(-append "$kernel_line${append:+ $append}")
  add_console
  add_own_devices
  connect_devices
  for device in "${devices[@]}"; do
    arguments+=(-device "$device")
  done
  add_netdev
  arguments+=("${extra[@]}")
}
