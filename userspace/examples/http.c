/* SPDX-License-Identifier: MIT */
/*
 * http ADDRESS --ip A.B.C.D/N [--gateway A.B.C.D] [--dir FOLDER | --size BYTES]
 *
 * An HTTP/1.0 server in user space down to the registers: lwIP's TCP on a port of unic's. It serves
 * the files of a folder, or a body of so many bytes at any path, which is lines of 15 digits: 0, 1,
 * 2... Try: curl http://A.B.C.D/ | sha256sum
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lwip/tcp.h>

#include "lwip-netif.h"

#define HTTP_PORT     80
#define REQUEST_MAX   2048
#define CLIENTS_MAX   64
#define CHUNK_SIZE    8192
#define LINE_SIZE     16     /* of the body that is made */
#define SLICE_US      200000 /* so that a signal that comes before the wait is seen */
#define POLL_INTERVAL 4	     /* of half seconds: lwIP asks then */
#define POLLS_MAX     30     /* without progress: a minute */

static struct {
	const char *address;
	uint32_t ip, mask, gateway;
	const char *folder;
	int folder_fd;
	uint64_t size;
	unsigned int clients;
	uint64_t responses, bytes;
} http = { .folder_fd = -1, .size = 20000000 };

struct client {
	struct tcp_pcb *pcb;
	char request[REQUEST_MAX + 1];
	size_t request_size;
	bool answered;
	int fd; /* of the file, or -1: it is made */
	uint64_t at, size;
	unsigned int polls;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/* --- What is sent --- */

static ssize_t body_make(uint64_t at, char *data, size_t size)
{
	char line[LINE_SIZE + 1];
	size_t done, part;

	for (done = 0; done < size; done += part, at += part) {
		snprintf(line, sizeof(line), "%015" PRIu64 "\n",
			 at / LINE_SIZE % 1000000000000000u);
		part = LINE_SIZE - at % LINE_SIZE;
		if (part > size - done)
			part = size - done;
		memcpy(data + done, line + at % LINE_SIZE, part);
	}
	return (ssize_t)size;
}

static void client_free(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client);
	http.clients--;
}

/* Its connection goes on until all that was written has arrived, or else is cut off. */
static err_t client_end(struct client *client, bool complete)
{
	struct tcp_pcb *pcb = client->pcb;

	client_free(client);
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
	if (complete && !tcp_close(pcb)) {
		http.responses++;
		return ERR_OK;
	}
	tcp_abort(pcb);
	return ERR_ABRT;
}

/* Writes as much as lwIP takes. False: the file is shorter than it was. */
static bool client_send(struct client *client)
{
	char chunk[CHUNK_SIZE];
	uint64_t left;
	ssize_t n;

	while ((left = client->size - client->at) && tcp_sndbuf(client->pcb)) {
		size_t want = tcp_sndbuf(client->pcb);

		if (want > left)
			want = left;
		if (want > sizeof(chunk))
			want = sizeof(chunk);
		n = client->fd < 0 ? body_make(client->at, chunk, want)
				   : pread(client->fd, chunk, want, (off_t)client->at);
		if (n <= 0)
			return false;
		if (tcp_write(client->pcb, chunk, (u16_t)n, TCP_WRITE_FLAG_COPY))
			break; /* again when something has arrived, or by the poll */
		client->at += (uint64_t)n;
		client->polls = 0;
		http.bytes += (uint64_t)n;
	}
	(void)tcp_output(client->pcb);
	return true;
}

/* --- The request --- */

/* Of a GET or HEAD: the path, with its end marked. NULL: it is something else. */
static char *request_path(char *request)
{
	char *path = strchr(request, ' '), *end;

	if (!path || (strncmp(request, "GET ", 4) && strncmp(request, "HEAD ", 5)))
		return NULL;
	end = path + 1 + strcspn(path + 1, " ?\r\n");
	*end = '\0';
	return path[1] == '/' ? path + 1 : NULL;
}

/* 200, or why not. */
static int file_open(struct client *client, const char *path)
{
	struct stat stat;

	if (http.folder_fd < 0) {
		client->size = http.size;
		return 200;
	}
	while (*path == '/')
		path++;
	if (strstr(path, ".."))
		return 404;
	client->fd = openat(http.folder_fd, *path ? path : "index.html",
			    O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (client->fd < 0 || fstat(client->fd, &stat) || !S_ISREG(stat.st_mode))
		return 404;
	client->size = (uint64_t)stat.st_size;
	return 200;
}

static bool client_answer(struct client *client)
{
	bool head = !strncmp(client->request, "HEAD ", 5);
	char *path = request_path(client->request);
	int status = path ? file_open(client, path) : 400, size;
	char text[160];

	if (status != 200)
		client->size = 0;
	size = snprintf(text, sizeof(text),
			"HTTP/1.0 %d %s\r\nContent-Length: %" PRIu64
			"\r\nContent-Type: application/octet-stream\r\n\r\n",
			status,
			status == 200	? "OK"
			: status == 404 ? "Not Found"
					: "Bad Request",
			client->size);
	if (head)
		client->size = 0;
	client->answered = true;
	return !tcp_write(client->pcb, text, (u16_t)size, TCP_WRITE_FLAG_COPY);
}

/* --- lwIP's callbacks: ERR_ABRT says that the connection is no more --- */

static err_t client_goes_on(struct client *client, bool well)
{
	if (well && client->answered)
		well = client_send(client);
	if (well && (!client->answered || client->at < client->size))
		return ERR_OK;
	return client_end(client, well);
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *pbuf, err_t err)
{
	struct client *client = arg;
	size_t room = REQUEST_MAX - client->request_size, n;

	(void)err;
	/* The other side has nothing more to say: it may still want the answer. */
	if (!pbuf)
		return client_goes_on(client, client->answered);
	tcp_recved(pcb, pbuf->tot_len);
	n = pbuf_copy_partial(pbuf, client->request + client->request_size, (u16_t)room, 0);
	pbuf_free(pbuf);
	if (client->answered)
		return ERR_OK;
	client->request_size += n;
	client->request[client->request_size] = '\0';
	if (strstr(client->request, "\r\n\r\n"))
		return client_goes_on(client, client_answer(client));
	return client_goes_on(client, client->request_size < REQUEST_MAX);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t size)
{
	(void)pcb;
	(void)size;
	return client_goes_on(arg, true);
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct client *client = arg;

	(void)pcb;
	return client_goes_on(client, ++client->polls < POLLS_MAX);
}

/* lwIP has freed the connection already. */
static void on_error(void *arg, err_t err)
{
	(void)err;
	client_free(arg);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct client *client;

	(void)arg;
	if (err || !pcb || http.clients == CLIENTS_MAX)
		return ERR_MEM;
	client = calloc(1, sizeof(*client));
	if (!client)
		return ERR_MEM;
	http.clients++;
	client->pcb = pcb;
	client->fd = -1;
	tcp_arg(pcb, client);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_poll, POLL_INTERVAL);
	return ERR_OK;
}

static int listen_begin(void)
{
	struct tcp_pcb *pcb = tcp_new(), *listener;

	if (!pcb || tcp_bind(pcb, IP_ANY_TYPE, HTTP_PORT))
		return -EIO;
	listener = tcp_listen(pcb);
	if (!listener)
		return -EIO;
	tcp_accept(listener, on_accept);
	return 0;
}

/* --- The program --- */

static int usage(const char *what)
{
	fprintf(stderr,
		"http: %s\n"
		"usage: http ADDRESS --ip A.B.C.D/N [--gateway A.B.C.D] [--dir FOLDER | "
		"--size BYTES]\n",
		what);
	return 2;
}

/* "10.99.0.2/24". */
static bool parse_ip(char *text)
{
	char *slash = strchr(text, '/'), *end = NULL;
	unsigned long bits = 0;

	if (!slash)
		return false;
	*slash = '\0';
	bits = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end || bits < 1 || bits > 31)
		return false;
	http.mask = htonl(UINT32_MAX << (32 - bits));
	return inet_pton(AF_INET, text, &http.ip) == 1;
}

static const char *parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ip", required_argument, NULL, 'i' },
		{ "gateway", required_argument, NULL, 'g' },
		{ "dir", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ 0 },
	};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i' && !parse_ip(optarg))
			return "--ip takes an address and the bits of its network: 10.0.0.2/24";
		if (option == 'g' && inet_pton(AF_INET, optarg, &http.gateway) != 1)
			return "--gateway takes an IPv4 address";
		if (option == 'd')
			http.folder = optarg;
		if (option == 's') {
			http.size = strtoull(optarg, &end, 10);
			if (*end || optarg[0] < '0' || optarg[0] > '9')
				return "--size takes a number of bytes";
		}
		if (option == '?')
			return "unknown option, or its value is missing";
	}
	if (optind + 1 != argc)
		return "one ADDRESS is needed";
	http.address = argv[optind];
	return http.ip ? NULL : "--ip is needed";
}

static int serve(struct unic_port *port)
{
	struct port_netif netif;
	int err = port_netif_open(&netif, port, http.ip, http.mask, http.gateway);
	char ip[INET_ADDRSTRLEN];

	if (err)
		return err;
	err = listen_begin();
	if (!err) {
		printf("http: ready at %s, http://%s/\n", unic_info(port)->address,
		       inet_ntop(AF_INET, &http.ip, ip, sizeof(ip)));
		fflush(stdout);
	}
	while (!err && !stopped)
		err = port_netif_run(&netif, SLICE_US);
	port_netif_close(&netif);
	printf("http: %" PRIu64 " responses, %" PRIu64 " bytes; %" PRIu64
	       " frames received, %" PRIu64 " sent, %" PRIu64 " lost\n",
	       http.responses, http.bytes, netif.received, netif.sent, netif.lost);
	return err;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	const char *wrong = parse(argc, argv);
	struct unic_port *port;
	char why[256];
	int err;

	if (wrong)
		return usage(wrong);
	if (http.folder) {
		http.folder_fd = open(http.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (http.folder_fd < 0) {
			perror(http.folder);
			return 1;
		}
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	err = unic_open(http.address, NULL, &port);
	if (err) {
		fprintf(stderr, "http: %s\n", unic_explain(http.address, err, why, sizeof(why)));
		return 1;
	}
	err = unic_start(port);
	if (!err)
		err = serve(port);
	if (err)
		fprintf(stderr, "http: %s: %s\n", http.address, strerror(-err));
	unic_close(port);
	return err ? 1 : 0;
}
