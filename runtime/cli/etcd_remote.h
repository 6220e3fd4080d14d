/* etcd_remote.h: etcd as the commands see it: one question after the other, each waited for.
 * Command-internal. */
#pragma once

#include <stdbool.h>

#include "runtime/api/etcd_text.h"
#include "runtime/cli/remote.h"
#include "runtime/serve/fleet_link.h"

struct etcd_remote {
    const struct fleet_settings *set; /* borrowed */
    char endpoints[FLEET_ETCDS_MAX][FLEET_URL_MAX];
    size_t n_endpoints;
    size_t endpoint; /* in use */
    struct remote remote;
    bool is_open;
    struct buf body;   /* of the next question */
    struct buf answer; /* the last one's text */
};

/* Connects to the first address that answers, and logs in. etcd_remote_close in any case. */
int etcd_remote_open(struct etcd_remote *r, const struct fleet_settings *set, struct err *e);
void etcd_remote_close(struct etcd_remote *r);

/* Sends r->body, which is empty afterwards. may_repeat: another address may be asked the same
 * if this one fails. *out is to be released (etcd_answer_deinit) if it is 0. */
int etcd_remote_ask(struct etcd_remote *r, const char *path, bool may_repeat,
                    struct etcd_answer *out, struct err *e);
