/* prompt_store_parts.h: what the files behind prompt_store.h share. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/registry/database.h"
#include "runtime/registry/prompt_store.h"

struct prompt_store {
    pthread_mutex_t lock; /* of the connection */
    struct database database;
};

/* A row of the table profile. */
struct profile_row {
    int64_t id;         /* 0: there never was one of this name */
    bool deleted;       /* it is not there, but its numbers go on */
    int64_t activation; /* the row that made `active` so; 0: none */
    struct prompt_profile profile;
};

/* What store_read_profile reads, of the table profile as p. */
#define STORE_PROFILE_COLUMNS                                                 \
    "p.id, p.deleted, ifnull(p.activation, 0), p.name, p.revision, p.latest," \
    " ifnull(p.active, 0), ifnull(p.split, 0), p.split_percent, p.updated,"   \
    " (SELECT count(*) FROM version v WHERE v.profile = p.id)"
void store_read_profile(const struct query *q, struct profile_row *row);

/* The rest with the lock held. */

/* *row is zeroed but for the name when there is none. */
int store_find_profile(struct prompt_store *s, const char *name, struct profile_row *row,
                       struct err *e);
/* ERR_NOT_FOUND unless it is there. */
int store_require_profile(struct prompt_store *s, const char *name, struct profile_row *row,
                          struct err *e);
/* ERR_NOT_FOUND unless the version is there. */
int store_require_version(struct prompt_store *s, const struct profile_row *row,
                          uint64_t version, struct err *e);
/* The version that a label points to; 0: no such label. */
int store_find_label(struct prompt_store *s, const struct profile_row *row, const char *label,
                     uint64_t *version, struct err *e);
int store_no_label(const struct profile_row *row, const char *label, struct err *e);
