/* err.h: why something failed, in words a user can act on.
 *
 * Functions that can fail return 0 or -1 (or a pointer or NULL) and take a `struct err *` as
 * their last parameter, never NULL. On failure the message names what and where and, if it
 * helps, what to do: `models/foo.gguf: tensor "blk.3.ffn_up.weight": 5 dimensions, at most 4
 * are allowed`. The kind lets one place (runtime/api/api_error.c) choose an HTTP status without
 * reading the text.
 *
 * Threads: none; each err belongs to its caller.
 */
#pragma once

enum err_kind {
    ERR_NONE = 0,
    ERR_INVALID,     /* the caller's input is wrong */
    ERR_NOT_FOUND,   /* a named thing does not exist */
    ERR_NOT_LOADED,  /* it exists, and somebody must load it first */
    ERR_CONFLICT,    /* a thing is no longer as the caller says it is */
    ERR_FORMAT,      /* a file or message is malformed */
    ERR_UNSUPPORTED, /* well-formed, but nothing here can do it */
    ERR_LIMIT,       /* a bound would be exceeded */
    ERR_DENIED,      /* the caller may not */
    ERR_FILTERED,    /* a filter refused it */
    ERR_BUSY,        /* no capacity now; the same call may work later */
    ERR_CANCELED,
    ERR_DEADLINE, /* the time that the caller gave is over */
    ERR_IO,
    ERR_NOMEM,
};

#define ERR_MESSAGE_MAX 512

struct err {
    enum err_kind kind;
    int retry_after_s; /* of ERR_BUSY: when the same call may work; 0: not known */
    char param[64];    /* the request field or option at fault, or "" */
    char message[ERR_MESSAGE_MAX];
};

/* Fills *e and returns -1, so that `return err_set(...)` reads well. A longer message is cut at
 * a UTF-8 boundary. */
int err_set(struct err *e, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, and names the field or option at fault. */
int err_set_param(struct err *e, enum err_kind kind, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends strerror(errno_value) to the message: "PATH: cannot open: No such file or directory".
 * The kind is ERR_NOT_FOUND for ENOENT, ERR_NOMEM for ENOMEM and ERR_IO for the rest. */
int err_set_errno(struct err *e, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " before the message that is there; returns -1. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

int err_nomem(struct err *e);

/* An analyser that sees one source file at a time is told that these never return 0. */
#ifdef __clang_analyzer__
#    define err_set(...)       (err_set(__VA_ARGS__), -1)
#    define err_set_param(...) (err_set_param(__VA_ARGS__), -1)
#    define err_set_errno(...) (err_set_errno(__VA_ARGS__), -1)
#    define err_prefix(...)    (err_prefix(__VA_ARGS__), -1)
#    define err_nomem(...)     (err_nomem(__VA_ARGS__), -1)
#endif
