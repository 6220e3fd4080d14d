/* version_store_parts.h: what the files behind version_store.h share. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/registry/database.h"
#include "runtime/registry/version_store.h"

/* How a kind's objects are called in messages. */
struct version_words {
    const char *kind;  /* in the file, and in what the audit says */
    const char *noun;  /* "prompt profile" */
    const char *param; /* "profile": of errors about an object */
    const char *empty; /* instead of deleting "default": "put a version with an empty text" */
};

struct version_store {
    struct version_database *file;
    const struct version_words *words;
};

struct version_database {
    pthread_mutex_t lock; /* of the connection */
    struct database database;
    struct version_store stores[VERSION_KINDS];
};

/* A row of the table profile, which has the objects of all kinds. */
struct object_row {
    int64_t id;         /* 0: there never was one of this name */
    bool deleted;       /* it is not there, but its numbers go on */
    int64_t activation; /* the row that made `active` so; 0: none */
    struct version_state state;
};

/* What store_read_object reads, of the table profile as p. */
#define STORE_OBJECT_COLUMNS                                                  \
    "p.id, p.deleted, ifnull(p.activation, 0), p.name, p.revision, p.latest," \
    " ifnull(p.active, 0), ifnull(p.split, 0), p.split_percent, p.updated,"   \
    " (SELECT count(*) FROM version v WHERE v.profile = p.id)"
void store_read_object(const struct query *q, struct object_row *row);

/* The rest with the lock held. */

/* *row is zeroed when there is none. */
int store_find_object(struct version_store *s, const char *name, struct object_row *row,
                      struct err *e);
/* ERR_NOT_FOUND unless it is there. */
int store_require_object(struct version_store *s, const char *name, struct object_row *row,
                         struct err *e);
/* ERR_NOT_FOUND unless the version is there. */
int store_require_version(struct version_store *s, const struct object_row *row,
                          uint64_t version, struct err *e);
/* The version that a label points to; 0: no such label. */
int store_find_label(struct version_store *s, const struct object_row *row, const char *label,
                     uint64_t *version, struct err *e);
int store_no_label(const struct version_store *s, const struct object_row *row,
                   const char *label, struct err *e);
