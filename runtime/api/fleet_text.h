/* fleet_text.h: what a fleet of servers keeps in etcd, as keys and values.
 *
 *   /weir/FLEET/config/KIND/NAME             what is in force: struct fleet_change
 *   /weir/FLEET/history/KIND/NAME/VERSION    the same, of versions that were
 *   /weir/FLEET/replicas/ID                  what a replica says of itself, under its lease
 *
 * Who writes config does so with the condition that nobody else has meanwhile.
 *
 * Threads: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/api/etcd_text.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"
#include "runtime/registry/version_name.h"

#define FLEET_NAME_MAX    VERSION_NAME_MAX
#define FLEET_ACTOR_MAX   128
#define FLEET_HISTORY_MAX 64 /* versions of a name that are kept in etcd */

enum fleet_kind { FLEET_PROMPT, FLEET_FILTERS, FLEET_MODEL, FLEET_KINDS };

const char *fleet_kind_name(enum fleet_kind kind); /* "prompt", "filters", "model" */

/* "/weir/FLEET/config/", "/weir/FLEET/replicas/" */
void fleet_config_prefix(char out[ETCD_KEY_MAX], const char *fleet);
void fleet_replica_prefix(char out[ETCD_KEY_MAX], const char *fleet);
void fleet_config_key(char out[ETCD_KEY_MAX], const char *fleet, enum fleet_kind kind,
                      const char *name);
void fleet_history_key(char out[ETCD_KEY_MAX], const char *fleet, enum fleet_kind kind,
                       const char *name, uint64_t version);

/* What a key beneath the config prefix is of. False: it is none that this program knows. */
bool fleet_config_key_read(const char *key, const char *fleet, enum fleet_kind *kind,
                           char name[VERSION_NAME_MAX + 1]);

/* What all replicas shall have under a name. */
struct fleet_change {
    char version[VERSION_NAME_MAX + 1]; /* of prompts and filters a number, above 0 */
    uint64_t number;                    /* that one, else 0 */
    uint64_t latest; /* of prompts and filters: the greatest number that was ever set */
    char sha256[HASH_HEX_LEN + 1]; /* of what it means; of models of the file, or "" */
    char *content; /* (content_len) JSON as PUT takes it, owned; of models NULL */
    size_t content_len;
    char actor[FLEET_ACTOR_MAX + 1]; /* who set it, or "" */
};

/* Appends it. 0, or -1 as buf.h. */
int fleet_change_write(const struct fleet_change *c, struct buf *out);

/* -1: it is none; *e names the field. Nothing is to be released then. */
int fleet_change_read(struct fleet_change *out, enum fleet_kind kind, const char *text,
                      size_t len, struct err *e);
void fleet_change_deinit(struct fleet_change *c);
