#include "runtime/serve/text_match.h"

void text_match_init(struct text_match *m, size_t max_ahead)
{
    *m = (struct text_match){0};
    buf_init(&m->ahead, max_ahead);
}

void text_match_deinit(struct text_match *m)
{
    buf_deinit(&m->ahead);
}

static size_t common(const char *a, const char *b, size_t len)
{
    size_t n = 0;
    while (n < len && a[n] == b[n]) {
        n++;
    }
    return n;
}

/* Compares with what the other text has ahead; returns how much of it that was. */
static size_t catch_up(struct text_match *m, const char *text, size_t len)
{
    size_t left = m->ahead.len - m->taken;
    size_t n = len < left ? len : left;
    if (n == 0) {
        return 0;
    }
    size_t same = common(m->ahead.data + m->taken, text, n);
    m->same += same;
    m->differs = same < n;
    m->taken += n;
    /* Seldom, so that what is moved is no more than what was fed. */
    if (m->taken * 2 >= m->ahead.len) {
        buf_consume(&m->ahead, m->taken);
        m->taken = 0;
    }
    return n;
}

void text_match_feed(struct text_match *m, int side, const char *text, size_t len)
{
    m->len[side] += len;
    if (m->differs || m->out_of_memory) {
        return;
    }
    size_t n = side == m->leader ? 0 : catch_up(m, text, len);
    if (m->differs) {
        buf_deinit(&m->ahead);
        m->taken = 0;
    } else if (n < len) {
        m->leader = side;
        m->out_of_memory = buf_append(&m->ahead, text + n, len - n) != 0;
    }
}
