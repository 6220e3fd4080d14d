#include "runtime/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "runtime/base/mem.h"

#define FILE_PART ((size_t)1 << 18)

struct hash {
    EVP_MD_CTX *md;
    bool failed;
};

struct hash *hash_begin(void)
{
    struct hash *h = mem_zalloc(sizeof(*h));
    if (h) {
        h->md = EVP_MD_CTX_new();
        h->failed = !h->md || EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) != 1;
    }
    return h;
}

void hash_add(struct hash *h, const void *data, size_t len)
{
    if (h && !h->failed) {
        h->failed = EVP_DigestUpdate(h->md, data, len) != 1;
    }
}

/* 0 when `len` is that of a SHA-256. */
static int write_hex(const unsigned char *digest, unsigned int len, char out[HASH_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    if (len * 2 != HASH_HEX_LEN) {
        return -1;
    }
    for (unsigned int i = 0; i < len; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[HASH_HEX_LEN] = '\0';
    return 0;
}

int hash_end(struct hash *h, char out[HASH_HEX_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    int rc = -1;
    if (h && !h->failed && EVP_DigestFinal_ex(h->md, digest, &len) == 1) {
        rc = write_hex(digest, len, out);
    }
    if (h) {
        EVP_MD_CTX_free(h->md);
        mem_free(h);
    }
    return rc;
}

int hash_sha256_hex(const void *data, size_t len, char out[HASH_HEX_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;
    if (EVP_Digest(data, len, digest, &digest_len, EVP_sha256(), NULL) != 1) {
        return -1;
    }
    return write_hex(digest, digest_len, out);
}

static int add_file(struct hash *h, int fd, const char *path, struct err *e)
{
    char *part = mem_alloc(FILE_PART);
    ssize_t n = 1;
    if (!part) {
        return err_nomem(e);
    }
    while (n > 0 || (n < 0 && errno == EINTR)) {
        n = read(fd, part, FILE_PART);
        if (n > 0) {
            hash_add(h, part, (size_t)n);
        }
    }
    int rc = n == 0 ? 0 : err_set_errno(e, errno, "%s: cannot read", path);
    mem_free(part);
    return rc;
}

int hash_file_hex(const char *path, char out[HASH_HEX_LEN + 1], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open", path);
    }
    struct hash *h = hash_begin();
    int rc = h ? add_file(h, fd, path, e) : err_nomem(e);
    close(fd);
    if (hash_end(h, out) != 0 && rc == 0) {
        rc = err_nomem(e);
    }
    return rc;
}
