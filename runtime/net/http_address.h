/* http_address.h: socket addresses, from and to what users write. Internal to runtime/net. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "runtime/base/err.h"

/* Room for any name http_address_write_peer makes. */
#define HTTP_ADDRESS_NAME_MAX 64

/* An IPv4 or IPv6 address, or a name, of which the first address is taken. A name may block. */
int http_address_resolve(const char *host, uint16_t port, struct sockaddr_storage *address,
                         struct err *e);

/* "192.0.2.1:5000", "[2001:db8::1]:5000", or "unknown" when the peer is gone already. */
void http_address_write_peer(const uv_tcp_t *tcp, char name[HTTP_ADDRESS_NAME_MAX]);

/* Its own address in the same form; `name` as large. */
void http_address_write_local(const uv_tcp_t *tcp, char *name);

/* The same of any address. */
void http_address_write(const struct sockaddr_storage *address,
                        char name[HTTP_ADDRESS_NAME_MAX]);

/* The port the socket is bound to, 0 when it is not. */
uint16_t http_address_local_port(const uv_tcp_t *tcp);
