/* fleet_link.h: the connection of a replica to etcd: it finds out what the fleet's
 * configuration is and was changed to, and keeps there what the replica says of itself for as
 * long as the replica lives.
 *
 * All of the configuration is read, and changes are watched from that revision on; where etcd
 * has forgotten it (compaction) or may have lost some on the way, all is read again, so nothing
 * is missed and nothing comes twice in another order. A lease of FLEET_LEASE_S seconds is kept
 * alive every FLEET_BEAT_MS; when that fails the connection counts as lost, the next of the
 * addresses is tried, and again until one answers.
 *
 * Nothing here blocks the loop, and nothing that etcd does or says ends the server.
 *
 * Threads: the loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/api/etcd_text.h"
#include "runtime/base/err.h"

#define FLEET_LEASE_S     5
#define FLEET_BEAT_MS     1000
#define FLEET_BEAT_MAX_MS 3000 /* a beat that is not answered by then has failed */
#define FLEET_ETCDS_MAX   9
#define FLEET_URL_MAX     512
#define FLEET_ID_MAX      255

/* Borrowed by whoever has them, for the whole life of the server. */
struct fleet_settings {
    const char *name;      /* of the fleet; NULL: this server is in none */
    const char *id;        /* of this replica; NULL: HOST:PORT */
    const char *endpoints; /* "http://10.0.0.1:2379,http://10.0.0.2:2379" */
    const char *user;      /* NULL: none */
    char *password;
    char *trusted; /* PEM: in place of the system's; NULL: those */
    size_t trusted_len;
    char *certificate, *key; /* PEM: of this client; NULL: none */
    size_t certificate_len, key_len;
    bool waits; /* before the fleet was heard for the first time ever, it is not ready */
};

/* The addresses of `endpoints`, without slashes at their ends. None has a user or password in
 * it: addresses are logged. The error names the option. */
int fleet_endpoints_split(const char *endpoints, char out[FLEET_ETCDS_MAX][FLEET_URL_MAX],
                          size_t *n, struct err *e);

/* Checks what is written, for --etcd and --fleet; the error names the option. */
int fleet_settings_check(const struct fleet_settings *set, struct err *e);

struct fleet_link;

/* What comes of it. From the loop; none of these is called by fleet_link_create. */
struct fleet_link_events {
    /* The whole configuration at a revision. */
    void (*on_all)(void *user, const struct etcd_answer *all);
    /* Changes, in their order. A pair without a value: the key was deleted. */
    void (*on_changes)(void *user, const struct etcd_answer *changes);
    /* Connected, or (why) not any more, or not yet. Only when that has changed. address: of
     * etcd, for its owner alone. */
    void (*on_state)(void *user, bool is_connected, const char *address, const char *why);
};

/* Everything is borrowed. id: under which the replica reports. NULL: no memory. */
struct fleet_link *fleet_link_create(uv_loop_t *loop, const struct fleet_settings *set,
                                     const char *id, const struct fleet_link_events *events,
                                     void *user, struct err *e);

/* What the replica says of itself from now on; the text is copied. The last one counts. */
void fleet_link_report(struct fleet_link *l, const char *text, size_t len);

/* Unix milliseconds of the last answer from etcd; 0: there was none. */
int64_t fleet_link_heard_ms(const struct fleet_link *l);

/* Connections that were lost or did not come about, since the start. */
uint64_t fleet_link_failures(const struct fleet_link *l);

/* Takes the report back, if etcd answers within moments, and ends. The link is released when
 * its handles are closed. Accepts NULL. */
void fleet_link_close(struct fleet_link *l);
