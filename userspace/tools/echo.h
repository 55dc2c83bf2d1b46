/* SPDX-License-Identifier: MIT */
/* A host that answers ARP and ICMP echo requests: frames in, frames out, nothing else. */
#ifndef TOOLS_ECHO_H
#define TOOLS_ECHO_H

#include <stdint.h>

struct echo_host {
	uint8_t mac[6];
	uint8_t ip[4];
};

/* What a frame was. */
enum echo_verdict {
	ECHO_IGNORED,  /* for somebody else, or no request */
	ECHO_FRAGMENT, /* a part of a datagram: not put together */
	ECHO_ERROR,    /* wrong checksum, lengths that contradict each other */
	ECHO_ARP,      /* a request for the host's address: now the reply */
	ECHO_PING,     /* an echo request: now the reply */
	ECHO_VERDICTS
};

/**
 * echo_answer - makes the reply to a frame, in its place.
 * @host: who answers.
 * @frame: where the frame begins, from its destination address; when there is a reply, where that
 * begins. It never ends behind the request's end, nor begins before its beginning.
 * @length: bytes of the frame, with padding and without the FCS; when there is a reply, of that.
 */
enum echo_verdict echo_answer(const struct echo_host *host, uint8_t **frame, uint32_t *length);

#endif
