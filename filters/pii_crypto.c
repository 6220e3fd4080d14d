/* Addresses of cryptocurrencies. */
#include <stdint.h>

#include "filters/pii_scan.h"
#include "runtime/base/hash.h"
#include "runtime/base/hex.h"

#define BASE58_MIN  26u
#define BASE58_MAX  35u
#define BECH32_MIN  14u
#define BECH32_MAX  90u
#define BECH32M_ONE 0x2bc830a3u
#define ETHEREUM    42u

#define ADDRESS_BYTES 25 /* of Base58Check: version, hash of the key, checksum */

/* ---- Bitcoin: Base58Check ---- */

static const char base58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static bool sha256(const uint8_t *data, size_t len, uint8_t out[HASH_HEX_LEN / 2])
{
    char hex[HASH_HEX_LEN + 1];
    if (hash_sha256_hex(data, len, hex) != 0) {
        return false;
    }
    for (size_t i = 0; i < HASH_HEX_LEN / 2; i++) {
        out[i] = (uint8_t)(16 * hex_value(hex[2 * i]) + hex_value(hex[2 * i + 1]));
    }
    return true;
}

static bool is_base58_address(const char *text, size_t len)
{
    uint8_t bytes[ADDRESS_BYTES] = {0};
    for (size_t i = 0; i < len; i++) {
        unsigned carry = (unsigned)(strchr(base58, text[i]) - base58);
        for (size_t k = ADDRESS_BYTES; k-- > 0;) {
            carry += 58u * bytes[k];
            bytes[k] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry) {
            return false;
        }
    }
    uint8_t once[HASH_HEX_LEN / 2], twice[HASH_HEX_LEN / 2];
    return (bytes[0] == 0 || bytes[0] == 5) && sha256(bytes, ADDRESS_BYTES - 4, once) &&
           sha256(once, sizeof(once), twice) &&
           memcmp(twice, bytes + ADDRESS_BYTES - 4, 4) == 0;
}

/* ---- Bitcoin: Bech32, BIP 173 and BIP 350 ---- */

static const char bech32[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static uint32_t bech32_step(uint32_t sum, unsigned value)
{
    static const uint32_t generators[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffffu) << 5 ^ value;
    for (int i = 0; i < 5; i++) {
        sum ^= top >> i & 1 ? generators[i] : 0;
    }
    return sum;
}

/* `text` begins with "bc1" in either case. */
static bool is_bech32_address(const char *text, size_t len)
{
    static const uint8_t prefix[] = {'b' >> 5, 'c' >> 5, 0, 'b' & 31, 'c' & 31};
    bool has_lower = false;
    bool has_upper = false;
    uint32_t sum = 1;
    for (size_t i = 0; i < sizeof(prefix); i++) {
        sum = bech32_step(sum, prefix[i]);
    }
    for (size_t i = 0; i < len; i++) {
        has_lower |= text[i] >= 'a' && text[i] <= 'z';
        has_upper |= text[i] >= 'A' && text[i] <= 'Z';
        if (i >= 3) {
            sum = bech32_step(sum, (unsigned)(strchr(bech32, lower(text[i])) - bech32));
        }
    }
    return !(has_lower && has_upper) && (sum == 1 || sum == BECH32M_ONE);
}

/* ---- runs of one alphabet ---- */

static bool is_base58(int c)
{
    return c > 0 && strchr(base58, c) != NULL;
}

static bool is_bech32(int c)
{
    return c > 0 && strchr(bech32, lower(c)) != NULL;
}

static bool is_address(const char *text, size_t len)
{
    return text[0] == '0' ? len == ETHEREUM
           : is_base58(text[0]) && (text[0] == '1' || text[0] == '3')
               ? len >= BASE58_MIN && is_base58_address(text, len)
               : len >= BECH32_MIN && is_bech32_address(text, len);
}

/* The run that begins with `prefix`, in either case, goes on with `is_class`, and is not
 * longer than `max`. */
static enum finder_found scan_run(const struct pii_scan *s, size_t at, const char *prefix,
                                  bool (*is_class)(int c), size_t max, size_t *to)
{
    size_t i = at;
    for (; *prefix; prefix++, i++) {
        int c = pii_peek(s, i);
        if (lower(c) != *prefix) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
    }
    while (i - at <= max && is_class(pii_peek(s, i))) {
        i++;
    }
    if (i - at > max) {
        return FINDER_NONE;
    }
    enum finder_found found = pii_ends(s, i, "");
    if (found != FINDER_MATCH) {
        return found;
    }
    *to = i;
    return is_address(s->text + at, i - at) ? FINDER_MATCH : FINDER_NONE;
}

enum finder_found pii_crypto(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, "")) {
        return FINDER_NONE;
    }
    switch (s->text[at]) {
    case '0':
        return scan_run(s, at, "0x", pii_is_hex, ETHEREUM, to);
    case '1':
        return scan_run(s, at, "1", is_base58, BASE58_MAX, to);
    case '3':
        return scan_run(s, at, "3", is_base58, BASE58_MAX, to);
    default:
        return scan_run(s, at, "bc1", is_bech32, BECH32_MAX, to);
    }
}
