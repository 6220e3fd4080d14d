/* secret_scan.h: what the filter "secrets" knows: tokens, private keys, values of assignments.
 *
 * As in pii_scan.h a scanner looks at one place and says whether something begins there, and
 * up to where. Rules are numbers below secret_rule_count; sets of them are 64 bits.
 */
#pragma once

#include "filters/pii_scan.h"

/* Bytes before a place that decide about it: the name of what a value is given to. */
#define SECRET_CONTEXT 128u

/* The least that a token has, so that it is a run of that many bytes without blanks. */
#define SECRET_MIN_TOKEN 16u

/* ---- rules ---- */

/* Their names in settings, which are the codes of verdicts. */
extern const char *const secret_rules[];
extern const size_t secret_rule_count;

/* The rules that have scanners of their own; those before them are tokens. */
size_t secret_rule_private_key(void);
size_t secret_rule_assignment(void);

/* ---- tokens ---- */

/* The rules of which a token may begin at `at`, by their prefixes, among `wanted`. */
uint64_t secret_token_rules(const struct pii_scan *s, size_t at, uint64_t wanted);

/* A token of a rule, by prefix and form. */
enum finder_found secret_scan_token(const struct pii_scan *s, size_t rule, size_t at,
                                    size_t *to);

/* RFC 7468: from the line that begins a private key to the one that ends it, or to the first
 * byte that no key has. */
enum finder_found secret_scan_private_key(const struct pii_scan *s, size_t at, size_t *to);

/* ---- places ---- */

/* finder_rules.spot for the rules in `wanted`. */
bool secret_spot(const struct pii_scan *s, uint64_t wanted, size_t at, size_t end,
                 struct finder_spot *spot);

/* ---- assignments ---- */

/* Whether something that can be given a value, and signs between, stand before `at`. */
bool secret_is_value(const struct pii_scan *s, size_t at);

/* The first byte at `at` or behind it that can begin a value: not a sign, quote or blank.
 * SIZE_MAX when it is too far away. */
size_t secret_value_begin(const struct pii_scan *s, size_t at);

/* A value that is given to something called password, token, key or the like, and that has at
 * least so many bits a byte, in units of 1 / SECRET_BIT. */
#define SECRET_BIT 1024u
enum finder_found secret_scan_value(const struct pii_scan *s, uint32_t least_entropy, size_t at,
                                    size_t *to);

/* ---- entropy ---- */

/* Shannon's entropy of the first 256 bytes, by how often each occurs, in 1 / SECRET_BIT bits a
 * byte. Integer arithmetic only, so that it is the same on all machines. */
uint32_t secret_entropy(const char *text, size_t len);
