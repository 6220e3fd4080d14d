/* version_work.h: what the admin routes of things that have versions do off the loop, and what
 * each kind of things adds to it. Internal to version_admin.
 *
 * A request is a struct of the kind's own (struct prompt_request, struct chain_request) that
 * begins with a struct version_request. */
#pragma once

#include <cjson/cJSON.h>
#include <uv.h>

#include "runtime/registry/version_store.h"
#include "runtime/serve/server.h"

/* In the order of the routes of each kind (api/routes.h). */
enum version_op {
    VERSION_OP_LIST,
    VERSION_OP_GET,
    VERSION_OP_PUT,
    VERSION_OP_DELETE,
    VERSION_OP_VERSIONS,
    VERSION_OP_VERSION,
    VERSION_OP_VERSION_DELETE,
    VERSION_OP_DIFF,
    VERSION_OP_ACTIVATE,
    VERSION_OP_ROLLBACK,
    VERSION_OP_LABEL,
    VERSION_OP_UNLABEL,
    VERSION_OP_DRY_RUN,
    VERSION_OP_SPLIT, /* prompts only */
    VERSION_OP_TRACE, /* filter chains only */
    VERSION_OP_AUDIT, /* of all kinds */
};

struct version_request;

/* A kind of things. */
struct version_api {
    enum version_kind kind;
    size_t request_size;
    const char *list;  /* the field of a list: "profiles" */
    const char *noun;  /* "prompt" */
    const char *param; /* of errors: "profile" */

    /* On the loop: takes what the work will need, and gives back all that the request holds. */
    void (*begin)(struct version_request *r);
    void (*release)(struct version_request *r);

    /* On a worker: */
    /* Fills in r->state, and what is active. */
    int (*load)(struct version_request *r, struct err *e);
    /* Whether requests get something of that name though the store has no such object. */
    bool (*is_served)(const struct version_request *r);
    /* Adds what is said of the object besides its state; is_none: the store has none. */
    int (*describe)(struct version_request *r, bool is_none, cJSON *root, struct err *e);
    void (*add_to_list)(struct version_request *r, cJSON *root); /* or NULL */
    void (*add_to_info)(const struct version_info *v, cJSON *row);
    /* The number of a version, which is fit to be served. */
    int (*find)(struct version_request *r, const char *which, uint64_t *version, struct err *e);
    int (*put)(struct version_request *r, struct err *e);
    int (*show)(struct version_request *r, struct err *e);
    int (*diff)(struct version_request *r, const char *from, const char *to, struct buf *out,
                struct err *e);
    int (*dry_run)(struct version_request *r, struct err *e);
    int (*trace)(struct version_request *r, struct err *e); /* or NULL */

    /* On the loop: makes r->state what requests get, then calls `done` with r. */
    int (*publish)(struct version_request *r, void (*done)(void *r), struct err *e);
    /* A file's content was not stored. */
    void (*put_failed)(struct version_request *r);
};

struct version_request {
    uv_work_t work;
    struct server *server;
    const struct version_api *api;
    struct version_store *store;
    struct http_exchange *http; /* NULL: nobody waits */
    bool from_folder;           /* a watched folder wants to know of a failure */
    /* Who else wants to know how it ended, on the loop: NULL for e where all went well. */
    void (*told)(void *user, const struct err *e);
    void *told_user;
    char sha256[HASH_HEX_LEN + 1]; /* that what is put must have, or "" */
    enum version_op op;

    /* What was asked for. */
    char name[VERSION_NAME_MAX + 1];
    char item[VERSION_NAME_MAX + 1]; /* version or label in the path, or "" */
    char from[VERSION_NAME_MAX + 1]; /* of the query: from, to, after, profile */
    char to[VERSION_NAME_MAX + 1];
    enum version_kind audit_kind; /* VERSION_KINDS: any */
    uint64_t before;
    size_t limit;
    bool activate;
    char *body; /* (body_len), owned */
    size_t body_len;
    char actor[VERSION_ACTOR_MAX + 1];
    struct version_change change;

    /* What came of it. */
    struct err e;
    bool failed;
    int status;
    char *reply; /* text of the answer, owned; NULL with status 204 */
    size_t reply_len;
    bool is_text;  /* and no JSON */
    uint64_t etag; /* 0: none */
    bool publish;  /* what requests get has changed: */
    struct version_state state;
};

/* On a worker. */
void version_work_run(struct version_request *r);

/* For kinds: makes `root`, which is released, the answer. */
int version_work_reply(struct version_request *r, cJSON *root, struct err *e);

/* Of a watched folder's file: its content is active in the store already, where another process
 * that watches the folder, as this one's successor, was faster. sha256: of what it means. */
bool version_work_is_stored(struct version_request *r, const char *sha256);

/* Of a version that others have numbered (change.number): 1: it is stored and active now, as it
 * was stored before; 0: it is to be stored; -1: another text has its number, or it failed. */
int version_work_activate_numbered(struct version_request *r, const char *sha256,
                                   struct err *e);

/* Of a body: "version", a number or a name, as text. */
int version_work_which(const cJSON *body, char which[VERSION_NAME_MAX + 1], struct err *e);
