// SPDX-License-Identifier: GPL-2.0-or-later
/* What a shell needs to complete userpci's command line, made from the table of commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <userpci/userpci.h>

#include "completion.h"
#include "tools/trace-names.h"

/* QEMU's devices that the drivers are for. */
#define QEMU_DEVICES "qemu:edu qemu:e1000 qemu:e1000e qemu:igb qemu:rtl8139 qemu:virtio-net-pci"

static void print_options(const struct cmd *cmd, const char *divider)
{
	if (cmd->operands == CMD_DEVICES)
		printf("-s%s-d%s", divider, divider);
	for (const struct option *option = cmd->options; option->name; option++) {
		if (option->val < CMD_OURS && option->val != 'h')
			printf("-%c%s", option->val, divider);
		printf("--%s%s", option->name, option[1].name ? divider : "");
	}
}

/* Calls @print for each option of whatever command that takes a value, once. */
static void for_each_value(void (*print)(const struct option *option, const char *words))
{
	char seen[512] = " ", name[40];

	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		for (const struct option *option = (*cmd)->options; option->name; option++) {
			snprintf(name, sizeof(name), " %s ", option->name);
			if (!option->has_arg || strstr(seen, name))
				continue;
			strncat(seen, name + 1, sizeof(seen) - strlen(seen) - 1);
			print(option, cmd_option_words(option->val));
		}
}

/* --- bash --- */

static const char bash_head[] =
	"# shellcheck shell=bash\n"
	"# SPDX-License-Identifier: GPL-2.0-or-later\n"
	"# Completion of userpci for bash. 'userpci --completion bash' prints it.\n"
	"\n"
	"_userpci_devices() {\n"
	"  local device\n"
	"  for device in /sys/bus/pci/devices/*; do\n"
	"    [ -e \"$device\" ] || continue\n"
	"    device=${device##*/}\n"
	"    # In the form that was begun.\n"
	"    [[ $1 != [0-9a-f][0-9a-f]:* ]] || device=${device#0000:}\n"
	"    printf '%s\\n' \"$device\"\n"
	"  done\n"
	"}\n"
	"\n"
	"_userpci_ids() {\n"
	"  local device vendor id\n"
	"  for device in /sys/bus/pci/devices/*; do\n"
	"    if read -r vendor <\"$device/vendor\" && read -r id <\"$device/device\"; then\n"
	"      printf '%s:%s\\n' \"${vendor#0x}\" \"${id#0x}\"\n"
	"    fi\n"
	"  done 2>/dev/null\n"
	"}\n"
	"\n"
	"# The address on the command line, behind the command and its options.\n"
	"_userpci_address() {\n"
	"  local word\n"
	"  for word in \"${@:3}\"; do\n"
	"    if [[ $word == *:* && $word != -* ]]; then\n"
	"      printf '%s\\n' \"$word\"\n"
	"      return\n"
	"    fi\n"
	"  done\n"
	"}\n"
	"\n"
	"_userpci() {\n"
	"  # Words as they are divided by blanks: bash divides at ':' and '=' as well.\n"
	"  local line=${COMP_LINE:0:COMP_POINT}\n"
	"  local current='' previous words='' values='' operands='' address\n"
	"  local private='" QEMU_DEVICES "'\n"
	"  local -a typed\n"
	"  read -ra typed <<<\"$line\"\n"
	"  if [[ $line != *[[:space:]] ]]; then\n"
	"    current=${typed[-1]}\n"
	"    unset 'typed[-1]'\n"
	"  fi\n"
	"  previous=${typed[-1]}\n"
	"  if [[ $current == --*=* ]]; then\n"
	"    previous=${current%%=*}\n"
	"    current=${current#*=}\n"
	"  fi\n"
	"  COMPREPLY=()\n"
	"  if [ ${#typed[@]} = 1 ]; then\n";

static const char bash_values[] =
	"    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"    return\n"
	"  fi\n"
	"  case $previous in\n"
	"  -s) values=$(_userpci_devices \"$current\") ;;\n"
	"  -d) values=$(_userpci_ids) ;;\n";

static const char bash_commands[] = "  esac\n"
				    "  case ${typed[1]} in\n";

static const char bash_tail[] =
	"  esac\n"
	"  if [ \"$values\" = FILE ]; then\n"
	"    compopt -o filenames 2>/dev/null\n"
	"    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"    return\n"
	"  elif [ -n \"$values\" ]; then\n"
	"    words=$values\n"
	"  elif [[ $current != -* ]]; then\n"
	"    words=''\n"
	"    case $operands in\n"
	"    address | registers)\n"
	"      address=$(_userpci_address \"${typed[@]}\")\n"
	"      if [ -n \"$address\" ] && [ $operands = address ]; then\n"
	"        words=''\n"
	"      elif [ -n \"$address\" ]; then\n"
	"        words=$(\"${typed[0]}\" --completion registers \"$address\" 2>/dev/null)\n"
	"      else\n"
	"        words=\"$(_userpci_devices \"$current\") $private\"\n"
	"      fi\n"
	"      ;;\n"
	"    *)\n"
	"      words=$(_userpci_devices \"$current\")\n"
	"      [ \"$operands\" = devices ] || words+=\" $private\"\n"
	"      ;;\n"
	"    esac\n"
	"  fi\n"
	"  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"  if [ \"$operands\" = files ] && [ -z \"$values\" ] && [[ $current != -* ]]; then\n"
	"    compopt -o filenames 2>/dev/null\n"
	"    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")\n"
	"  fi\n"
	"  # Of a word that bash has divided it wants the last part.\n"
	"  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"    COMPREPLY=(\"${COMPREPLY[@]#\"${current%\"${current##*:}\"}\"}\")\n"
	"  fi\n"
	"}\n"
	"\n"
	"complete -F _userpci userpci\n";

static void bash_value(const struct option *option, const char *words)
{
	if (words)
		printf("  --%s) values='%s' ;;\n", option->name, words);
}

static const char *operands_name(const struct cmd *cmd)
{
	static const char *const names[] = {
		[CMD_DEVICES] = "devices",
		[CMD_ADDRESS] = "address",
		[CMD_REGISTERS] = "registers",
		[CMD_FILES] = "files",
	};

	return names[cmd->operands];
}

static void print_bash(void)
{
	fputs(bash_head, stdout);
	fputs("    words='", stdout);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		printf("%s ", (*cmd)->name);
	puts("'\n    words+='--help --version --completion'");
	fputs(bash_values, stdout);
	for_each_value(bash_value);
	fputs(bash_commands, stdout);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++) {
		printf("  %s)\n    operands=%s\n    words='", (*cmd)->name, operands_name(*cmd));
		print_options(*cmd, " ");
		puts("'\n    ;;");
	}
	puts("  --completion) values='bash zsh' ;;");
	puts("  *) return ;;");
	fputs(bash_tail, stdout);
}

/* --- zsh --- */

static const char zsh_head[] =
	"#compdef userpci\n"
	"# SPDX-License-Identifier: GPL-2.0-or-later\n"
	"# Completion of userpci for zsh. 'userpci --completion zsh' prints it.\n"
	"\n"
	"_userpci_devices() {\n"
	"  local -a devices\n"
	"  devices=(/sys/bus/pci/devices/*(N:t))\n"
	"  # In the form that was begun.\n"
	"  [[ $PREFIX != [0-9a-f][0-9a-f]:* ]] || devices=(${devices#0000:})\n"
	"  compadd -- $devices\n"
	"}\n"
	"\n"
	"_userpci_ids() {\n"
	"  local device\n"
	"  for device in /sys/bus/pci/devices/*(N); do\n"
	"    compadd -- ${$(<$device/vendor)#0x}:${$(<$device/device)#0x}\n"
	"  done\n"
	"}\n"
	"\n"
	"_userpci_private() {\n"
	"  _userpci_devices\n"
	"  compadd -- $private\n"
	"}\n"
	"\n"
	"_userpci_files() {\n"
	"  _userpci_private\n"
	"  _files\n"
	"}\n"
	"\n"
	"# The address, unless there is one.\n"
	"_userpci_address() {\n"
	"  address=${${(M)words[2,CURRENT-1]:#[^-]*:*}[1]}\n"
	"  [[ -n $address ]] || _userpci_private\n"
	"}\n"
	"\n"
	"# The address, then registers of it.\n"
	"_userpci_registers() {\n"
	"  local -a names\n"
	"  _userpci_address\n"
	"  [[ -n $address ]] || return\n"
	"  names=(${(f)\"$($program --completion registers $address 2>/dev/null)\"})\n"
	"  compadd -- $names\n"
	"}\n"
	"\n"
	"_userpci() {\n"
	"  local program=$words[1] address\n"
	"  local -a commands private\n";

static const char zsh_commands[] = "  if (( CURRENT == 2 )); then\n"
				   "    _describe command commands\n"
				   "    compadd -- --help --version --completion\n"
				   "    return\n"
				   "  fi\n"
				   "  shift words\n"
				   "  (( CURRENT-- ))\n"
				   "  case $words[1] in\n";

static void zsh_option(const struct option *option)
{
	const char *words = cmd_option_words(option->val);

	printf(" \\\n      '--%s%s", option->name, option->has_arg ? "=" : "");
	if (!option->has_arg)
		putchar('\'');
	else if (!words)
		printf(":%s: '", option->name);
	else if (!strcmp(words, "FILE"))
		printf(":%s:_files'", option->name);
	else
		printf(":%s:(%s)'", option->name, words);
	if (option->val < CMD_OURS && option->val != 'h')
		printf(" '-%c'", option->val);
}

/* The first line of the help, as _describe wants it. */
static void zsh_describe(const struct cmd *cmd)
{
	printf("    '%s:", cmd->name);
	for (const char *c = cmd->help; *c && *c != '\n'; c++)
		if (*c == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*c);
	puts("'");
}

static void print_zsh(void)
{
	fputs(zsh_head, stdout);
	printf("  private=(%s)\n  commands=(\n", QEMU_DEVICES);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		zsh_describe(*cmd);
	puts("  )");
	fputs(zsh_commands, stdout);
	for (const struct cmd *const *cmd = cmds; *cmd; cmd++) {
		printf("  %s)\n    _arguments", (*cmd)->name);
		if ((*cmd)->operands == CMD_DEVICES)
			fputs(" \\\n      '-s:slot:_userpci_devices' '-d:id:_userpci_ids'", stdout);
		for (const struct option *option = (*cmd)->options; option->name; option++)
			zsh_option(option);
		printf(" \\\n      '*:%s:_userpci_%s'\n    ;;\n", operands_name(*cmd),
		       operands_name(*cmd));
	}
	puts("  --completion) compadd -- bash zsh ;;\n"
	     "  esac\n"
	     "}\n"
	     "\n"
	     "_userpci \"$@\"");
}

/* --- Registers --- */

static int read_id(const char *address, const char *name, uint16_t *id)
{
	unsigned int value;
	char path[128];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%.40s/%s",
		 strlen(address) < 12 ? "0000:" : "", address, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fscanf(file, "%x", &value);
	fclose(file);
	*id = (uint16_t)value;
	return n == 1 ? 0 : -1;
}

static const char *behind_prefix(const char *address)
{
	static const char *const prefixes[] = { "stub:", "vfio:", "uio:" };
	size_t length;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		length = strlen(prefixes[i]);
		if (!strncmp(address, prefixes[i], length))
			return address + length;
	}
	return address;
}

/* Of a device in the system without opening it: only a private one may be opened for a look. */
static const struct userpci_register *registers_of(const char *address)
{
	struct userpci_info info = { 0 };
	struct userpci_device *device;

	if (!strncmp(address, "qemu:", 5)) {
		if (userpci_open(address, 0, &device))
			return NULL;
		info = *userpci_info(device);
		userpci_close(device);
	} else {
		address = behind_prefix(address);
		if (read_id(address, "vendor", &info.vendor_id) ||
		    read_id(address, "device", &info.device_id))
			return NULL;
	}
	return trace_names(&info);
}

static void print_registers(const char *address)
{
	const struct userpci_register *r = registers_of(address);

	for (; r && r->name; r++)
		for (uint32_t i = 0; i < (r->count ? r->count : 1); i++)
			if (r->count)
				printf("%s[%u]\n", r->name, i);
			else
				puts(r->name);
}

enum cmd_status completion_run(const char *what, const char *address)
{
	if (!strcmp(what, "bash"))
		print_bash();
	else if (!strcmp(what, "zsh"))
		print_zsh();
	else if (!strcmp(what, "registers"))
		print_registers(address);
	else
		return cmd_usage("", "--completion takes one of: bash zsh", "");
	return CMD_OK;
}
