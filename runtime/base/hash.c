#include "runtime/base/hash.h"

#include <stdbool.h>

#include <openssl/evp.h>

#include "runtime/base/mem.h"

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

int hash_end(struct hash *h, char out[HASH_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    bool ok = h && !h->failed && EVP_DigestFinal_ex(h->md, digest, &len) == 1 &&
              len * 2 == HASH_HEX_LEN;
    for (unsigned int i = 0; ok && i < len; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[ok ? HASH_HEX_LEN : 0] = '\0';
    if (h) {
        EVP_MD_CTX_free(h->md);
        mem_free(h);
    }
    return ok ? 0 : -1;
}

int hash_sha256_hex(const void *data, size_t len, char out[HASH_HEX_LEN + 1])
{
    struct hash *h = hash_begin();
    hash_add(h, data, len);
    return hash_end(h, out);
}
