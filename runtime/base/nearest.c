#include "runtime/base/nearest.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

static int plain(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static bool is_same(char a, char b)
{
    return plain(a) == plain(b);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned nearest_distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_NAME_MAX + 1]; /* of the last prefixes of a; columns: of b */
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > NEAREST_NAME_MAX || b_len > NEAREST_NAME_MAX) {
        return UINT_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3];
        const unsigned *two_before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned replaced = before[j - 1] + (is_same(a[i - 1], b[j - 1]) ? 0 : 1);
            now[j] = least(replaced, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1])) {
                now[j] = least(now[j], two_before[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void nearest_offer(struct nearest *n, const char *name)
{
    unsigned distance = nearest_distance(n->wanted, name);
    unsigned enough = (unsigned)strlen(name) / 3;
    if (distance <= (enough > 0 ? enough : 1) && (!n->name || distance < n->distance)) {
        n->name = name;
        n->distance = distance;
    }
}
