#include "runtime/net/http_address.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

int http_address_resolve(const char *host, uint16_t port, struct sockaddr_storage *address,
                         struct err *e)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        return err_set_param(e, ERR_INVALID, "host", "cannot listen on host \"%s\": %s", host,
                             gai_strerror(rc));
    }
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)address)->sin6_port)
               : ntohs(((const struct sockaddr_in *)address)->sin_port);
}

void http_address_write(const struct sockaddr_storage *address,
                        char name[HTTP_ADDRESS_NAME_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        uv_ip6_name((const struct sockaddr_in6 *)address, ip, sizeof(ip));
        snprintf(name, HTTP_ADDRESS_NAME_MAX, "[%s]:%u", ip, port_of(address));
    } else {
        uv_ip4_name((const struct sockaddr_in *)address, ip, sizeof(ip));
        snprintf(name, HTTP_ADDRESS_NAME_MAX, "%s:%u", ip, port_of(address));
    }
}

void http_address_write_peer(const uv_tcp_t *tcp, char name[HTTP_ADDRESS_NAME_MAX])
{
    struct sockaddr_storage address = {0};
    int len = sizeof(address);
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &len) != 0) {
        snprintf(name, HTTP_ADDRESS_NAME_MAX, "unknown");
    } else {
        http_address_write(&address, name);
    }
}

void http_address_write_local(const uv_tcp_t *tcp, char *name)
{
    struct sockaddr_storage address = {0};
    int len = sizeof(address);
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len) != 0) {
        snprintf(name, HTTP_ADDRESS_NAME_MAX, "unknown");
    } else {
        http_address_write(&address, name);
    }
}

uint16_t http_address_local_port(const uv_tcp_t *tcp)
{
    struct sockaddr_storage address = {0};
    int len = sizeof(address);
    return uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len) == 0 ? port_of(&address)
                                                                           : 0;
}
