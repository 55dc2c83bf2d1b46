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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qtest.h"

#define RAM_MB	    64
#define RAM_BYTES   (RAM_MB << 20)
#define BIOS_BYTES  (64u << 10)
#define START_MS    10000 /* a loaded machine may need long; an idle one needs 40 ms */
#define MOST_UNREAD 100	  /* a socket takes some 270 replies: each counts as a kilobyte nearly */

static _Thread_local char message[256];

const char *userpci_qtest_message(void)
{
	return message;
}

/* --- QEMU's life --- */

/* The descriptors that QEMU inherits, by number, from 3 on. */
enum { FD_RAM = 3, FD_BIOS, FD_QTEST, FD_DOORBELL, FD_WIRE, FD_END };

#define TEXT(x)	  #x
#define NUMBER(x) TEXT(x)

/* What QEMU calls a network device begins with one of these. */
static bool is_nic(const char *spec)
{
	static const char *const names[] = { "e1000",	"igb",	    "virtio-net", "vmxnet3",
					     "rtl8139", "ne2k_pci", "pcnet",	  "i82",
					     "tulip",	"sungem" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(spec, names[i], strlen(names[i])))
			return true;
	return false;
}

/* A processor that does nothing: cli; hlt; and once more, at the reset vector. */
static int make_bios(void)
{
	static const uint8_t reset[] = { 0xfa, 0xf4, 0xeb, 0xfd };
	int fd = memfd_create("userpci-bios", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, BIOS_BYTES) &&
	    pwrite(fd, reset, sizeof(reset), BIOS_BYTES - 16) == (ssize_t)sizeof(reset))
		return fd;
	close(fd);
	return -1;
}

/* The child's part: puts the descriptors in their places, and becomes QEMU. */
static _Noreturn void become_qemu(char *const *argv, const int *fds, int log)
{
	sigset_t none;
	int i, null, high[FD_END];

	/* When the watcher ends in whatever way, QEMU does. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	/* First out of the way of each other, then down. */
	for (i = FD_RAM; i < FD_END; i++)
		high[i] = fcntl(fds[i] >= 0 ? fds[i] : null, F_DUPFD, 64);
	log = fcntl(log, F_DUPFD, 64);
	for (i = FD_RAM; i < FD_END; i++)
		dup2(high[i], i);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	close_range(FD_END, ~0u, 0);
	execvp(argv[0], argv);
	dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/*
 * Starts QEMU below a watcher: a shell that waits for the end of its input, which is the pipe whose
 * other end this process holds. So QEMU ends with this process, however that ends, and whichever of
 * its threads called. Neither is this process's child for long: its wait() sees nothing of them.
 */
static int start(char *const *argv, const int *fds, int log, int life)
{
	char pid[16];
	pid_t qemu, watcher, go_between = fork();
	int status;

	if (go_between < 0)
		return -errno;
	if (go_between) {
		while (waitpid(go_between, &status, 0) < 0 && errno == EINTR)
			;
		return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EAGAIN;
	}
	setsid(); /* a terminal's Ctrl-C is not for them */
	watcher = fork();
	if (watcher)
		_exit(watcher < 0);
	qemu = fork();
	if (qemu < 0)
		_exit(1);
	if (!qemu)
		become_qemu(argv, fds, log);
	snprintf(pid, sizeof(pid), "%d", (int)qemu);
	dup2(life, 0);
	close_range(1, ~0u, 0);
	execl("/bin/sh", "sh", "-c", "read -r end; kill -KILL \"$0\"", pid, (char *)NULL);
	kill(qemu, SIGKILL);
	_exit(1);
}

/* The last line that QEMU printed says why it ended. */
static void explain(struct userpci_qtest *q)
{
	char text[4096];
	ssize_t n = pread(q->log, text, sizeof(text) - 1, 0);
	char *line;

	if (n <= 0)
		return;
	text[n] = '\0';
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (!strncmp(line, "qemu-system-", 12) && strchr(line, ' '))
		line = strchr(line, ' ') + 1;
	snprintf(message, sizeof(message), "%.250s", line);
}

/* --- The protocol: a line each way; replies to writes are read when it suits --- */

static void die(struct userpci_qtest *q)
{
	q->dead = true;
	q->unread = 0;
}

/* An INTx line of QEMU's q35 arrives at one of the I/O APIC's inputs 16 to 23. */
static void take_interrupt(struct userpci_qtest *q, const char *line)
{
	bool raised = !strncmp(line, "IRQ raise ", 10);

	if (!raised && strncmp(line, "IRQ lower ", 10))
		return;
	if (q->interrupt && strtoul(line + 10, NULL, 10) >= 16)
		q->interrupt(q->context, raised);
}

/* The next line, without its end; NULL: none yet (when not waiting), or QEMU has ended. */
static char *next_line(struct userpci_qtest *q, bool wait)
{
	char *end, *line;
	ssize_t n;

	while (!(end = memchr(q->line + q->begin, '\n', q->end - q->begin))) {
		if (q->begin) {
			memmove(q->line, q->line + q->begin, q->end - q->begin);
			q->end -= q->begin;
			q->begin = 0;
		}
		if (q->end == sizeof(q->line)) { /* no line is that long */
			die(q);
			return NULL;
		}
		n = recv(q->socket, q->line + q->end, sizeof(q->line) - q->end,
			 wait ? 0 : MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !wait)
			return NULL;
		if (n <= 0) {
			die(q);
			return NULL;
		}
		q->end += n;
	}
	*end = '\0';
	line = q->line + q->begin;
	q->begin = end + 1 - q->line;
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

	pthread_mutex_lock(&q->lock);
	send_line(q, text, n);
	catch_up(q);
	reply = q->dead ? NULL : next_reply(q);
	if (reply && !strncmp(reply, "OK ", 3))
		value = strtoull(reply + 3, NULL, 16) & ones(width);
	pthread_mutex_unlock(&q->lock);
	return value;
}

void userpci_qtest_write(struct userpci_qtest *q, enum userpci_space space, uint64_t address,
			 unsigned int width, uint64_t value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s 0x%" PRIx64 " 0x%" PRIx64 "\n",
			 verb(space, true, width), address, value & ones(width));

	pthread_mutex_lock(&q->lock);
	send_line(q, text, n);
	if (!q->dead && ++q->unread > MOST_UNREAD)
		catch_up(q);
	pthread_mutex_unlock(&q->lock);
}

int userpci_qtest_intercept(struct userpci_qtest *q)
{
	static const char text[] = "irq_intercept_in ioapic\n";
	const char *reply;
	int err = -EIO;

	pthread_mutex_lock(&q->lock);
	send_line(q, text, sizeof(text) - 1);
	catch_up(q);
	reply = q->dead ? NULL : next_reply(q);
	if (reply && !strcmp(reply, "OK"))
		err = 0;
	pthread_mutex_unlock(&q->lock);
	return err;
}

void userpci_qtest_take(struct userpci_qtest *q)
{
	const char *line;

	pthread_mutex_lock(&q->lock);
	while (!q->dead && (line = next_line(q, false))) {
		if (!strncmp(line, "IRQ ", 4))
			take_interrupt(q, line);
		else if (q->unread)
			q->unread--;
	}
	pthread_mutex_unlock(&q->lock);
}

/* --- Start and end --- */

/* Both ends of a pair in fds[]; ours does not go on to programs that the caller runs. */
static int pair(int type, int *ours, int *theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds))
		return -errno;
	*ours = fds[0];
	*theirs = fds[1];
	return 0;
}

static void close_all(const int *fds, unsigned int count)
{
	while (count--)
		if (fds[count] >= 0)
			close(fds[count]);
}

int userpci_qtest_send_fd(int socket, int64_t number, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &number, sizeof(number) };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * What the shared-memory device expects from its server before QEMU starts (QEMU:
 * docs/specs/ivshmem-spec): the protocol's version, its own number, its memory.
 */
static int greet_doorbell(int socket)
{
	static const int64_t words[] = { 0, USERPCI_QTEST_SELF };
	int memory = memfd_create("userpci-doorbell", MFD_CLOEXEC);
	int err = 0;

	if (memory < 0)
		return -errno;
	if (ftruncate(memory, 4096) ||
	    send(socket, words, sizeof(words), MSG_NOSIGNAL) != (ssize_t)sizeof(words))
		err = -errno;
	if (!err)
		err = userpci_qtest_send_fd(socket, -1, memory);
	close(memory);
	return err;
}

/* Waits for QEMU's first reply. It comes when all devices are made. */
static int wait_until_up(struct userpci_qtest *q)
{
	struct pollfd p = { .fd = q->socket, .events = POLLIN };
	static const char text[] = "readl 0\n";

	send_line(q, text, sizeof(text) - 1);
	if (!poll(&p, 1, START_MS)) {
		snprintf(message, sizeof(message), "it did not start within %d s", START_MS / 1000);
		return -ETIMEDOUT;
	}
	if (next_reply(q))
		return 0;
	explain(q);
	return strncmp(message, "cannot run ", 11) ? -EINVAL : -ENOENT;
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

static int launch(struct userpci_qtest *q, const char *spec, const int *fds, int life)
{
	static const char *const fixed[] = {
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-accel",
		"tcg",
		"-machine",
		"q35,memory-backend=ram",
		"-object",
		"memory-backend-file,id=ram,share=on,size=" NUMBER(RAM_MB) "M,"
									   "mem-path=/dev/fd/3",
		"-m",
		NUMBER(RAM_MB),
		"-bios",
		"/dev/fd/4",
		"-chardev",
		"socket,id=qtest,fd=5",
		"-qtest",
		"chardev:qtest",
		"-qtest-log",
		"none",
		"-chardev",
		"socket,id=doorbell,fd=6",
		"-device",
		"ivshmem-doorbell,chardev=doorbell,ioeventfd=off,addr=1e,vectors=" NUMBER(
			USERPCI_QTEST_VECTORS),
	};
	const unsigned int num_fixed = sizeof(fixed) / sizeof(fixed[0]);
	const char *argv[1 + sizeof(fixed) / sizeof(fixed[0]) + MOST_MORE + 5];
	const char *qemu = getenv("USERPCI_QEMU"), *more = getenv("USERPCI_QEMU_ARGS");
	char *words = more ? strdup(more) : NULL, *device = NULL;
	unsigned int n = 0;
	int err;

	argv[n++] = qemu && *qemu ? qemu : "qemu-system-x86_64";
	memcpy(argv + n, fixed, sizeof(fixed));
	n += num_fixed;
	n += divide(words, argv + n);
	if (q->wire >= 0) {
		argv[n++] = "-netdev";
		argv[n++] = "dgram,id=wire,local.type=fd,local.str=7";
	}
	/* Without the ROM that a BIOS would boot from: it may not be installed. */
	if (asprintf(&device, "%s%s%s", spec, q->wire >= 0 ? ",netdev=wire" : "",
		     is_nic(spec) && !strstr(spec, "romfile=") ? ",romfile=" : "") < 0)
		device = NULL;
	argv[n++] = "-device";
	argv[n++] = device;
	argv[n] = NULL;
	err = device ? start((char *const *)argv, fds, q->log, life) : -ENOMEM;
	free(device);
	free(words);
	return err;
}

static void release(struct userpci_qtest *q)
{
	const int fds[] = { q->socket, q->life, q->doorbell, q->wire, q->log, q->ram_fd };

	if (q->ram)
		munmap(q->ram, q->ram_size);
	close_all(fds, sizeof(fds) / sizeof(fds[0]));
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* Makes all that QEMU gets, and starts it. */
static int prepare(struct userpci_qtest *q, const char *spec)
{
	int fds[FD_END] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	int life[2] = { -1, -1 };
	int err = 0;

	q->ram_fd = memfd_create("userpci-ram", MFD_CLOEXEC);
	q->log = memfd_create("userpci-log", MFD_CLOEXEC);
	fds[FD_BIOS] = make_bios();
	if (q->ram_fd < 0 || q->log < 0 || fds[FD_BIOS] < 0 || ftruncate(q->ram_fd, RAM_BYTES) ||
	    pipe2(life, O_CLOEXEC))
		err = -errno;
	fds[FD_RAM] = q->ram_fd;
	q->life = life[1];
	if (!err)
		err = pair(SOCK_STREAM, &q->socket, &fds[FD_QTEST]);
	if (!err)
		err = pair(SOCK_STREAM, &q->doorbell, &fds[FD_DOORBELL]);
	if (!err && is_nic(spec) && !strstr(spec, "netdev="))
		err = pair(SOCK_DGRAM, &q->wire, &fds[FD_WIRE]);
	if (!err)
		err = greet_doorbell(q->doorbell);
	if (!err) {
		q->ram_size = RAM_BYTES;
		q->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, q->ram_fd, 0);
		if (q->ram == MAP_FAILED) {
			q->ram = NULL;
			err = -ENOMEM;
		}
	}
	if (!err)
		err = launch(q, spec, fds, life[0]);
	close_all(fds + FD_BIOS, FD_END - FD_BIOS);
	close_all(life, 1);
	return err;
}

int userpci_qtest_start(const char *spec, struct userpci_qtest **qtest)
{
	struct userpci_qtest *q = calloc(1, sizeof(*q));
	int err;

	message[0] = '\0';
	if (!q)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	q->socket = q->life = q->doorbell = q->wire = q->log = q->ram_fd = -1;
	err = *spec ? prepare(q, spec) : -EINVAL;
	if (!err)
		err = wait_until_up(q);
	if (err) {
		release(q);
		return err;
	}
	*qtest = q;
	return 0;
}

void userpci_qtest_stop(struct userpci_qtest *qtest)
{
	release(qtest);
}
