/* SPDX-License-Identifier: MIT */
/* A private QEMU: its life, and the qtest protocol (QEMU: docs/devel/testing/qtest). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "qtest.h"

#define RAM_MB	    256
#define RAM_BYTES   ((uint64_t)RAM_MB << 20)
#define BIOS_BYTES  (64u << 10)
#define ANSWER_S    30 /* a loaded machine may need long; an idle one 40 ms to start, 15 us later */
#define END_MS	    1000 /* for QEMU to be gone */
#define BLOCK	    1024 /* bytes of memory a line, in hex; the buffer for replies has them twice */
#define MOST_UNREAD 100	 /* a socket takes some 270 replies: each counts as a kilobyte nearly */

static _Thread_local char message[256];

const char *userpci_qtest_message(void)
{
	return message;
}

void userpci_qtest_set_message(const char *text)
{
	snprintf(message, sizeof(message), "%s", text);
}

/* --- QEMU's life --- */

/* The descriptors that QEMU inherits, by number. All of ours are FD_END and above. */
enum { FD_RAM = 3, FD_BIOS, FD_QTEST, FD_DOORBELL, FD_WIRE, FD_END };

/* In the log, followed by the error's number: QEMU could not be run. */
#define NOT_RUN	  '\1'

#define TEXT(x)	  #x
#define NUMBER(x) TEXT(x)

#define RAM_OPTIONS \
	"memory-backend-file,id=ram,share=on,size=" NUMBER(RAM_MB) "M,mem-path=/dev/fd/3"
#define DOORBELL_OPTIONS                                   \
	"ivshmem-doorbell,chardev=doorbell,ioeventfd=off," \
	"addr=1e,vectors=" NUMBER(USERPCI_QTEST_VECTORS)

static const char *qemu_name(void)
{
	const char *name = getenv("USERPCI_QEMU");

	return name && *name ? name : "qemu-system-x86_64";
}

/* The child's part: puts the descriptors in their places, and becomes QEMU. */
static _Noreturn void become_qemu(char *const *argv, const int *fds, int log)
{
	struct rlimit limit;
	sigset_t none;
	char mark[2] = { NOT_RUN, 0 };
	int i;

	/* When the watcher ends in whatever way, QEMU does. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The doorbell's eventfds are many; one that does not fit would be taken for an order. */
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (i = FD_RAM; i < FD_END; i++)
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			close(i);
	dup2(log, 1);
	dup2(log, 2);
	close_range(FD_END, ~0u, 0);
	close(0);
	(void)!open("/dev/null", O_RDWR); /* gets the lowest number, 0 */
	execvp(argv[0], argv);
	mark[1] = (char)errno;
	(void)!write(2, mark, sizeof(mark));
	_exit(127);
}

/* Kills QEMU, and what it may have started, when the other ends of `life` are closed. */
static _Noreturn void become_watcher(pid_t qemu, int life)
{
	char group[16];

	setpgid(qemu, qemu);
	snprintf(group, sizeof(group), "-%d", (int)qemu);
	dup2(life, 0);
	close_range(1, ~0u, 0);
	execl("/bin/sh", "sh", "-c", "read -r end; kill -9 \"$0\"", group, (char *)NULL);
	kill(-qemu, SIGKILL);
	_exit(1);
}

/*
 * Starts QEMU below a watcher: a shell that waits for the end of its input, whose other end this
 * process holds. So QEMU ends with this process, however that ends, and whichever of its threads
 * called. Neither is this process's child for long: its wait() sees nothing of them. The watcher is
 * a program of its own, for a copy of this process would hold all that this has mapped.
 */
static int start(char *const *argv, const int *fds, int log, int life)
{
	pid_t qemu, watcher, go_between = fork();
	int status;

	if (go_between < 0)
		return -errno;
	if (go_between) {
		while (waitpid(go_between, &status, 0) < 0)
			if (errno != EINTR) /* the caller ignores SIGCHLD, or was faster */
				return 0;
		return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EAGAIN;
	}
	setsid(); /* a terminal's Ctrl-C is not for them */
	watcher = fork();
	if (watcher)
		_exit(watcher < 0 ? 1 : 0);
	qemu = fork();
	if (qemu < 0)
		_exit(1);
	if (!qemu)
		become_qemu(argv, fds, log);
	become_watcher(qemu, life);
}

/* Whether QEMU complains of what only an old one does not know. */
static bool is_too_old(const char *line)
{
	static const char *const ours[] = {
		"-machine q35,memory-backend",	"-object memory-backend-file,id=ram,",
		"-netdev dgram,id=wire,",	"-chardev socket,id=qtest,",
		"-chardev socket,id=doorbell,", "-device ivshmem-doorbell,chardev=doorbell,",
		"-qtest chardev:qtest",		"-accel tcg"
	};
	unsigned int i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!strncmp(line, ours[i], strlen(ours[i])))
			return true;
	return strstr(line, "memory-backend' not found");
}

/* The last line that begins with a name, "qemu-system-x86_64: WHY", without it; else the last. */
static char *find_reason(char *text)
{
	char *rest, *line, *found = NULL, *last = NULL;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		last = line;
		if (!strncmp(line, "qemu", 4) && strstr(line, ": "))
			found = strstr(line, ": ") + 2;
	}
	return found ? found : last;
}

/* What QEMU printed says why it ended. */
static int explain(const struct userpci_qtest *q)
{
	char text[4096];
	ssize_t n = pread(q->log, text, sizeof(text) - 1, 0);
	const char *reason;

	text[n > 0 ? n : 0] = '\0';
	if (n == 2 && text[0] == NOT_RUN) {
		snprintf(message, sizeof(message),
			 "cannot run %.100s: %s; install QEMU, or name it in USERPCI_QEMU",
			 qemu_name(), strerror(text[1]));
		return -ENOENT;
	}
	reason = find_reason(text);
	if (!reason)
		snprintf(message, sizeof(message), "%.200s ended without a word", qemu_name());
	else if (is_too_old(reason))
		snprintf(message, sizeof(message),
			 "%.100s is too old, QEMU 7.2 is the first that will do: %.80s",
			 qemu_name(), reason);
	else
		snprintf(message, sizeof(message), "QEMU refuses it: %.230s", reason);
	return -EINVAL;
}

/* --- The protocol: a line each way; replies to writes are read when it suits --- */

/* Wakes as well whoever waits for an interrupt or a frame. */
static void die(struct userpci_qtest *q)
{
	q->dead = true;
	q->unread = 0;
	shutdown(q->socket, SHUT_RDWR);
	if (q->wire >= 0)
		shutdown(q->wire, SHUT_RDWR);
}

static void lock(struct userpci_qtest *q)
{
	/* A process that shares the device was killed in the middle of an access. */
	if (pthread_mutex_lock(&q->lock) == EOWNERDEAD) {
		pthread_mutex_consistent(&q->lock);
		die(q);
	}
}

static void unlock(struct userpci_qtest *q)
{
	pthread_mutex_unlock(&q->lock);
}

static void line_signal(struct userpci_qtest *q)
{
	if (q->line_masked)
		return;
	q->line_masked = true; /* until it is served, as the module does */
	(void)eventfd_write(q->line, 1);
}

/* An INTx line of QEMU's q35 arrives at one of the I/O APIC's inputs 16 to 23. */
static void take_interrupt(struct userpci_qtest *q, const char *line)
{
	if (!strncmp(line, "IRQ raise ", 10) && strtoul(line + 10, NULL, 10) >= 16)
		line_signal(q);
}

static int64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* As recv(); signals do not make the wait longer than ANSWER_S. */
static ssize_t receive(const struct userpci_qtest *q, char *to, size_t size, int flags)
{
	int64_t end = 0;
	ssize_t n;

	for (;;) {
		n = recv(q->socket, to, size, flags);
		if (n >= 0 || errno != EINTR)
			return n;
		if (!end)
			end = now_s() + ANSWER_S;
		if (now_s() >= end) {
			errno = EAGAIN;
			return -1;
		}
	}
}

/* The next line, without its end; NULL: none yet (when not waiting), or QEMU has ended. */
static char *next_line(struct userpci_qtest *q, bool wait)
{
	char *end, *line;
	ssize_t n;

	while (!(end = memchr(q->text + q->begin, '\n', q->end - q->begin))) {
		if (q->begin) {
			memmove(q->text, q->text + q->begin, q->end - q->begin);
			q->end -= q->begin;
			q->begin = 0;
		}
		/* No line is so long that nothing is to be received. */
		n = receive(q, q->text + q->end, sizeof(q->text) - q->end, wait ? 0 : MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && !wait)
			return NULL;
		if (n <= 0) {
			die(q);
			return NULL;
		}
		q->end += n;
	}
	*end = '\0';
	line = q->text + q->begin;
	q->begin = end + 1 - q->text;
	return line;
}

/* The next reply; NULL: QEMU has ended. */
static const char *next_reply(struct userpci_qtest *q)
{
	const char *line;

	while ((line = next_line(q, true)) && !strncmp(line, "IRQ ", 4))
		take_interrupt(q, line);
	return line;
}

static void catch_up(struct userpci_qtest *q)
{
	while (q->unread && next_reply(q))
		q->unread--;
}

static void send_line(struct userpci_qtest *q, const char *text, size_t size)
{
	ssize_t n;

	while (size && !q->dead) {
		n = send(q->socket, text, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			die(q);
			return;
		}
		text += n;
		size -= n;
	}
}

/* Sends a line and awaits its reply; NULL: QEMU has ended. */
static const char *ask(struct userpci_qtest *q, const char *text, size_t size)
{
	send_line(q, text, size);
	catch_up(q);
	return q->dead ? NULL : next_reply(q);
}

/* "readl", "inb": what the protocol calls an access. */
static const char *verb(enum userpci_space space, bool write, unsigned int width)
{
	static const char *const verbs[2][2][4] = {
		[USERPCI_SPACE_MEMORY] = { { "readb", "readw", "readl", "readq" },
					   { "writeb", "writew", "writel", "writeq" } },
		[USERPCI_SPACE_IO] = { { "inb", "inw", "inl", "inl" },
				       { "outb", "outw", "outl", "outl" } },
	};

	return verbs[space][write][__builtin_ctz(width)];
}

static uint64_t ones(unsigned int width)
{
	return UINT64_MAX >> (64 - 8 * width);
}

uint64_t userpci_qtest_read(struct userpci_qtest *q, enum userpci_space space, uint64_t address,
			    unsigned int width)
{
	uint64_t value = ones(width);
	const char *reply;
	char text[64];
	int n = snprintf(text, sizeof(text), "%s 0x%" PRIx64 "\n", verb(space, false, width),
			 address);

	lock(q);
	reply = ask(q, text, n);
	if (reply && !strncmp(reply, "OK ", 3))
		value = strtoull(reply + 3, NULL, 16) & ones(width);
	unlock(q);
	return value;
}

/* Sends a line whose reply may come later. */
static void tell(struct userpci_qtest *q, const char *text, size_t size)
{
	lock(q);
	send_line(q, text, size);
	if (!q->dead && ++q->unread > MOST_UNREAD)
		catch_up(q);
	unlock(q);
}

void userpci_qtest_write(struct userpci_qtest *q, enum userpci_space space, uint64_t address,
			 unsigned int width, uint64_t value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s 0x%" PRIx64 " 0x%" PRIx64 "\n",
			 verb(space, true, width), address, value & ones(width));

	tell(q, text, n);
}

static int hex(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* A piece; 0, or -1: the reply is not that. */
static int read_piece(struct userpci_qtest *q, uint64_t address, uint8_t *data, size_t size)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "read 0x%" PRIx64 " 0x%zx\n", address, size);
	const char *reply;
	size_t i;

	lock(q);
	reply = ask(q, text, n);
	if (reply && strlen(reply) == 5 + 2 * size) /* "OK 0x..." */
		for (i = 0; i < size; i++)
			data[i] = (uint8_t)(hex(reply[5 + 2 * i]) << 4 | hex(reply[6 + 2 * i]));
	else
		reply = NULL;
	unlock(q);
	return reply ? 0 : -1;
}

int userpci_qtest_read_block(struct userpci_qtest *q, uint64_t address, void *data, size_t size)
{
	uint8_t *to = data;
	size_t n;

	for (; size; address += n, to += n, size -= n) {
		n = size < BLOCK ? size : BLOCK;
		if (read_piece(q, address, to, n))
			return -ENODEV;
	}
	return 0;
}

int userpci_qtest_write_block(struct userpci_qtest *q, uint64_t address, const void *data,
			      size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char text[64 + 2 * BLOCK], *to;
	const uint8_t *from = data;
	size_t n, i;

	for (; size; address += n, from += n, size -= n) {
		n = size < BLOCK ? size : BLOCK;
		to = text + snprintf(text, 64, "write 0x%" PRIx64 " 0x%zx 0x", address, n);
		for (i = 0; i < n; i++) {
			*to++ = digits[from[i] >> 4];
			*to++ = digits[from[i] & 15];
		}
		*to++ = '\n';
		tell(q, text, to - text);
	}
	return userpci_qtest_check(q);
}

int userpci_qtest_check(struct userpci_qtest *q)
{
	bool dead;

	lock(q);
	dead = q->dead;
	unlock(q);
	return dead ? -ENODEV : 0;
}

int userpci_qtest_intercept(struct userpci_qtest *q)
{
	static const char text[] = "irq_intercept_in ioapic\n";
	const char *reply;
	int err;

	lock(q);
	reply = ask(q, text, sizeof(text) - 1);
	err = !reply ? -ENODEV : strcmp(reply, "OK") ? -EIO : 0;
	unlock(q);
	return err;
}

void userpci_qtest_take(struct userpci_qtest *q)
{
	const char *line;

	lock(q);
	while (!q->dead && (line = next_line(q, false))) {
		if (!strncmp(line, "IRQ ", 4))
			take_interrupt(q, line);
		else if (q->unread)
			q->unread--;
	}
	unlock(q);
}

void userpci_qtest_line_mask(struct userpci_qtest *q, bool masked)
{
	lock(q);
	q->line_masked = masked;
	unlock(q);
}

void userpci_qtest_line_raise(struct userpci_qtest *q)
{
	lock(q);
	line_signal(q);
	unlock(q);
}

/* --- Start and end --- */

int userpci_qtest_keep(int *to, int fd)
{
	int err = fd < 0 ? -errno : 0;

	*to = fd;
	if (fd < 0 || fd >= FD_END)
		return err;
	*to = fcntl(fd, F_DUPFD_CLOEXEC, FD_END);
	err = *to < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int keep_memory(int *to, const char *name, uint64_t size)
{
	int err = userpci_qtest_keep(to, memfd_create(name, MFD_CLOEXEC));

	if (!err && ftruncate(*to, (off_t)size))
		err = -errno;
	return err;
}

/* Waits on our end have a limit, in both directions. */
static int keep_pair(int type, int *ours, int *theirs)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int fds[2], first, second;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds))
		return -errno;
	first = userpci_qtest_keep(ours, fds[0]);
	second = userpci_qtest_keep(theirs, fds[1]);
	if (type == SOCK_STREAM) {
		setsockopt(*ours, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(*ours, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	return first ? first : second;
}

static void close_all(const int *fds, unsigned int count)
{
	while (count--)
		if (fds[count] >= 0)
			close(fds[count]);
}

/* A processor that does nothing: cli; hlt; and once more, at the reset vector. */
static int keep_bios(int *to)
{
	static const uint8_t reset[] = { 0xfa, 0xf4, 0xeb, 0xfd };
	int err = keep_memory(to, "userpci-bios", BIOS_BYTES);

	if (!err && pwrite(*to, reset, sizeof(reset), BIOS_BYTES - 16) != (ssize_t)sizeof(reset))
		err = -ENOMEM;
	return err;
}

int userpci_qtest_send_fd(int socket, int64_t number, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { { 0 } };
	struct iovec data = { &number, sizeof(number) };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *header;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(number))
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? -ENODEV : -errno;
}

/*
 * What the shared-memory device expects from its server before QEMU starts (QEMU:
 * docs/specs/ivshmem-spec): the protocol's version, its own number, its memory.
 */
static int greet_doorbell(int socket)
{
	int memory, err = keep_memory(&memory, "userpci-doorbell", 4096);

	if (!err)
		err = userpci_qtest_send_fd(socket, 0, -1);
	if (!err)
		err = userpci_qtest_send_fd(socket, USERPCI_QTEST_SELF, -1);
	if (!err)
		err = userpci_qtest_send_fd(socket, -1, memory);
	close_all(&memory, 1);
	return err;
}

/* What QEMU calls a network device begins with one of these; a comma ends a whole name. */
static bool is_nic(const char *spec)
{
	static const char *const names[] = { "e1000",  "igb",	 "virtio-net", "vmxnet3", "rtl8139",
					     "ne2k_p", "pcnet",	 "i8255",      "i82562,", "i82801,",
					     "tulip",  "sungem", "sunhme" };
	char name[32];
	unsigned int i;

	snprintf(name, sizeof(name), "%s,", spec);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Where the caller wants the device: ",bus=NAME" and ",addr=SLOT.FUNCTION", in hex. */
static void parse_place(struct userpci_qtest *q, const char *spec)
{
	const char *bus = strstr(spec, ",bus="), *address = strstr(spec, ",addr=");
	char *end;

	q->behind = bus && strncmp(bus, ",bus=pcie.0", 11);
	q->devfn = -1;
	if (!address)
		return;
	q->devfn = (int)(strtoul(address + 6, &end, 16) << 3 & 0xff);
	if (*end == '.')
		q->devfn |= (int)(strtoul(end + 1, NULL, 16) & 7);
}

#define MOST_MORE 64

/* The caller's own arguments, divided at spaces. */
static unsigned int divide(char *text, const char **argv)
{
	unsigned int n = 0;
	char *rest, *word = text ? strtok_r(text, " ", &rest) : NULL;

	for (; word && n < MOST_MORE; word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	return n;
}

static unsigned int add(const char **argv, const char *option, const char *value)
{
	argv[0] = option;
	argv[1] = value;
	return 2;
}

/* The command line. The device gets the first slot, unless its bus must be made before it. */
static void compose(const struct userpci_qtest *q, const char **argv, const char *device,
		    char *more)
{
	static const char *const fixed[] = {
		"-nodefaults", "-no-user-config",
		"-display",    "none",
		"-accel",      "tcg",
		"-machine",    "q35,memory-backend=ram",
		"-object",     RAM_OPTIONS,
		"-m",	       NUMBER(RAM_MB),
		"-bios",       "/dev/fd/4",
		"-chardev",    "socket,id=qtest,fd=5",
		"-qtest",      "chardev:qtest",
		"-qtest-log",  "none",
		"-chardev",    "socket,id=doorbell,fd=6",
		"-device",     DOORBELL_OPTIONS,
	};
	unsigned int n = 1;

	argv[0] = qemu_name();
	memcpy(argv + n, fixed, sizeof(fixed));
	n += sizeof(fixed) / sizeof(fixed[0]);
	if (q->wire >= 0)
		n += add(argv + n, "-netdev", "dgram,id=wire,local.type=fd,local.str=7");
	if (!q->behind)
		n += add(argv + n, "-device", device);
	n += divide(more, argv + n);
	if (q->behind)
		n += add(argv + n, "-device", device);
	argv[n] = NULL;
}

static int launch(struct userpci_qtest *q, const char *spec, const int *fds, int life)
{
	const char *argv[MOST_MORE + 40];
	const char *arguments = getenv("USERPCI_QEMU_ARGS");
	char *more = strdup(arguments ? arguments : ""), *device = NULL;
	int err = -ENOMEM;

	/* Without the ROM that a BIOS would boot from: it may not be installed. */
	if (asprintf(&device, "%s%s%s", spec, q->wire >= 0 ? ",netdev=wire" : "",
		     is_nic(spec) && !strstr(spec, "romfile=") ? ",romfile=" : "") < 0)
		device = NULL;
	parse_place(q, spec);
	if (device && more) {
		compose(q, argv, device, more);
		err = start((char *const *)argv, fds, q->log, life);
	}
	q->started = !err;
	free(device);
	free(more);
	return err;
}

/* Makes all that QEMU gets, and starts it. */
static int prepare(struct userpci_qtest *q, const char *spec)
{
	int fds[FD_END] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	int life = -1;
	int err = keep_memory(&q->ram_fd, "userpci-ram", RAM_BYTES);

	if (!err)
		err = keep_memory(&q->log, "userpci-log", 0);
	if (!err)
		err = userpci_qtest_keep(&q->line, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	if (!err)
		err = keep_bios(&fds[FD_BIOS]);
	if (!err)
		err = keep_pair(SOCK_STREAM, &q->life, &life);
	if (!err)
		err = keep_pair(SOCK_STREAM, &q->socket, &fds[FD_QTEST]);
	if (!err)
		err = keep_pair(SOCK_STREAM, &q->doorbell, &fds[FD_DOORBELL]);
	if (!err && is_nic(spec) && !strstr(spec, "netdev="))
		err = keep_pair(SOCK_DGRAM, &q->wire, &fds[FD_WIRE]);
	if (!err)
		err = greet_doorbell(q->doorbell);
	fds[FD_RAM] = q->ram_fd;
	if (!err)
		err = launch(q, spec, fds, life);
	close_all(fds + FD_BIOS, FD_END - FD_BIOS);
	close_all(&life, 1);
	return err;
}

/* Waits for QEMU's first reply. It comes when all devices are made. */
static int wait_until_up(struct userpci_qtest *q)
{
	static const char text[] = "readl 0\n";

	errno = 0;
	if (ask(q, text, sizeof(text) - 1))
		return 0;
	if (errno != EAGAIN)
		return explain(q);
	snprintf(message, sizeof(message), "%.200s did not start within %d s", qemu_name(),
		 ANSWER_S);
	return -ETIMEDOUT;
}

/* A lock that works between processes, and outlives one that is killed while it has it. */
static int lock_init(struct userpci_qtest *q)
{
	pthread_mutexattr_t attributes;
	int err;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	err = pthread_mutex_init(&q->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -err;
}

static int make(struct userpci_qtest **qtest)
{
	struct userpci_qtest *q;
	int err;

	q = mmap(NULL, sizeof(*q), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (q == MAP_FAILED)
		return -errno;
	err = lock_init(q);
	if (err) {
		munmap(q, sizeof(*q));
		return err;
	}
	q->socket = q->life = q->doorbell = q->wire = q->log = q->ram_fd = q->line = -1;
	q->ram_size = RAM_BYTES;
	q->opener = getpid();
	q->line_masked = true;
	*qtest = q;
	return 0;
}

int userpci_qtest_start(const char *spec, struct userpci_qtest **qtest)
{
	struct userpci_qtest *q = NULL;
	int err = *spec ? make(&q) : -EINVAL;

	message[0] = '\0';
	if (!err) {
		err = prepare(q, spec);
		if (!err)
			err = wait_until_up(q);
		if (err)
			userpci_qtest_stop(q);
	}
	if (err && !*message)
		snprintf(message, sizeof(message), "QEMU was not started: %s",
			 *spec ? strerror(-err) : "no device is named");
	if (!err)
		*qtest = q;
	return err;
}

void userpci_qtest_stop(struct userpci_qtest *q)
{
	const int fds[] = { q->socket, q->life, q->doorbell, q->wire, q->log, q->ram_fd, q->line };
	struct pollfd p = { .fd = q->socket };

	if (q->started && q->opener == getpid()) {
		/* Also where a child still has a copy. Then, so that nothing is left: */
		shutdown(q->life, SHUT_RDWR);
		(void)poll(&p, 1, END_MS);
	}
	close_all(fds, sizeof(fds) / sizeof(fds[0]));
	/* The lock is not destroyed: a child may use it. */
	munmap(q, sizeof(*q));
}
