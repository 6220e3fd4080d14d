/* hash.h: SHA-256 (FIPS 180-4, by OpenSSL), for content hashes that users see. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

#define HASH_HEX_LEN 64

/* Writes 64 lower-case hex digits and a NUL. 0, or -1 when OpenSSL fails. */
int hash_sha256_hex(const void *data, size_t len, char out[HASH_HEX_LEN + 1]);

/* The same, part by part. hash_end releases h, also when something failed before; h may be NULL
 * then. */
struct hash;
struct hash *hash_begin(void); /* NULL: no memory */
void hash_add(struct hash *h, const void *data, size_t len);
int hash_end(struct hash *h, char out[HASH_HEX_LEN + 1]);

/* The SHA-256 of a file's content, read part by part. "-" is a file of that name. */
int hash_file_hex(const char *path, char out[HASH_HEX_LEN + 1], struct err *e);
