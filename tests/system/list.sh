#!/bin/bash
# SPDX-License-Identifier: MIT
# unic list: which interfaces there are, who has them, and whether unic can open them. In a guest
# with edu and e1000.
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

e1000=$(address 8086:100e)
edu=$(address 1234:11e8)

# line_of ADDRESS COMMAND...: the line that begins with it.
line_of() {
  local address=$1
  shift
  "$@" 2>&1 | grep "^$address "
}

check list_unbound 0 "8086:100e driver=e1000 bound=- open=no: not bound to userpci; run 'userpci" \
  line_of "$e1000" unic list
check list_no_interface 1 "" line_of "$edu" unic list
check list_json_unbound 0 "\"address\":\"$e1000\",\"id\":\"8086:100e\",\"driver\":\"e1000\",\"bo" \
  unic list --json

userpci bind "$e1000" >/dev/null || echo "not ok bind"
check list_bound 0 "bound=userpci open=yes" line_of "$e1000" unic list
check list_json_bound 0 '"bound":"userpci","open":true,"why":""' unic list --json

# It only looks: what the owner has is not disturbed, and nobody has it afterwards.
exec 7<>"/dev/userpci/$e1000"
check list_owned 0 "bound=userpci open=no: in use by process $$;" line_of "$e1000" unic list
exec 7>&-
check list_free_again 0 "open=yes" line_of "$e1000" unic list
check list_usable 0 "52:54:00:12:34:56" unic info "$e1000"

nobody() {
  setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
check list_not_root 0 "bound=userpci open=no: no permission on" line_of "$e1000" nobody unic list
userpci unbind "$e1000" >/dev/null || echo "not ok unbind"
finish
