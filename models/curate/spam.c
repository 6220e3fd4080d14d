#include "models/curate/spam.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct phrase {
    const char *text; /* small letters; a blank stands for any run of blanks */
    double weight;
};

static const struct phrase phrases[] = {
    {"act now", 0.3},         {"act fast", 0.3},        {"order now", 0.3},
    {"buy now", 0.35},        {"shop now", 0.35},       {"click here", 0.35},
    {"click the link", 0.35}, {"click below", 0.3},     {"sign up", 0.12},
    {"subscribe", 0.12},      {"limited time", 0.3},    {"limited offer", 0.3},
    {"special offer", 0.3},   {"best price", 0.3},      {"lowest price", 0.3},
    {"cheap", 0.12},          {"discount", 0.2},        {"% off", 0.3},
    {"free gift", 0.3},       {"free trial", 0.25},     {"for free", 0.1},
    {"risk free", 0.3},       {"risk-free", 0.3},       {"guarantee", 0.15},
    {"money back", 0.25},     {"no obligation", 0.3},   {"you have won", 0.4},
    {"you won", 0.25},        {"winner", 0.15},         {"congratulations", 0.12},
    {"claim your", 0.35},     {"prize", 0.15},          {"lottery", 0.2},
    {"casino", 0.3},          {"jackpot", 0.25},        {"bonus", 0.15},
    {"earn money", 0.3},      {"make money", 0.25},     {"extra income", 0.3},
    {"work from home", 0.25}, {"get rich", 0.3},        {"financial freedom", 0.3},
    {"crypto", 0.12},         {"invest", 0.08},         {"double your", 0.25},
    {"loan", 0.12},           {"credit score", 0.15},   {"no credit check", 0.4},
    {"lose weight", 0.25},    {"weight loss", 0.2},     {"miracle", 0.12},
    {"doctors hate", 0.4},    {"one weird trick", 0.4}, {"viagra", 0.4},
    {"pills", 0.15},          {"replica", 0.15},        {"call now", 0.3},
    {"visit our", 0.15},      {"our website", 0.12},    {"don't miss", 0.25},
    {"do not miss", 0.2},     {"hurry", 0.2},           {"while stocks last", 0.35},
    {"while supplies", 0.3},  {"exclusive deal", 0.3},  {"deal", 0.06},
    {"unbelievable", 0.12},   {"amazing", 0.06},        {"followers", 0.15},
    {"seo", 0.15},            {"backlinks", 0.3},       {"unsubscribe", 0.25},
    {"free shipping", 0.35},  {"promo code", 0.35},     {"coupon", 0.2},
    {"selected", 0.06},       {"urgent", 0.1},          {"verify your account", 0.35},
    {"100% ", 0.1},           {"today only", 0.3},      {"whatsapp", 0.2},
    {"telegram", 0.15},       {"dm me", 0.25},          {"link in bio", 0.4},
};

/* Bytes that match, or 0. The phrase begins where a word does. */
static size_t match(const char *text, size_t len, const char *phrase)
{
    size_t n = 0;
    for (; *phrase; phrase++) {
        if (n >= len) {
            return 0;
        }
        if (*phrase == ' ' && isspace((unsigned char)text[n])) {
            while (n < len && isspace((unsigned char)text[n])) {
                n++;
            }
        } else if (tolower((unsigned char)text[n]) == *phrase) {
            n++;
        } else {
            return 0;
        }
    }
    return n;
}

#define PHRASES (sizeof(phrases) / sizeof(phrases[0]))

struct signs {
    double phrases;
    bool is_seen[PHRASES]; /* a phrase counts once, however often a text has it */
    size_t links, sums, shouts, capitals, words;
};

static bool is_link(const char *s, size_t len)
{
    return match(s, len, "http://") || match(s, len, "https://") || match(s, len, "www.");
}

/* "$500", "99 %" and "50%": a sum or a share. */
static bool is_sum(const char *s, size_t len)
{
    if (len < 2) {
        return false;
    }
    if (*s == '$' || (len > 2 && (memcmp(s, "\xc2\xa3", 2) == 0))) {
        return isdigit((unsigned char)s[*s == '$' ? 1 : 2]) != 0;
    }
    return len > 3 && memcmp(s, "\xe2\x82\xac", 3) == 0 && isdigit((unsigned char)s[3]);
}

static void read_word(struct signs *signs, const char *s, size_t len, size_t rest)
{
    size_t upper = 0, lower = 0;
    for (size_t i = 0; i < len; i++) {
        upper += isupper((unsigned char)s[i]) != 0;
        lower += islower((unsigned char)s[i]) != 0;
    }
    signs->words++;
    signs->capitals += upper >= 3 && lower == 0;
    signs->links += is_link(s, rest);
    for (size_t i = 0; i < PHRASES; i++) {
        if (tolower((unsigned char)*s) == phrases[i].text[0] && !signs->is_seen[i] &&
            match(s, rest, phrases[i].text)) {
            signs->is_seen[i] = true;
            signs->phrases += phrases[i].weight;
        }
    }
}

static double bounded(double x, double most)
{
    return x < most ? x : most;
}

double spam_score(const char *text, size_t len)
{
    struct signs signs = {0};
    for (size_t at = 0; at < len;) {
        unsigned char c = (unsigned char)text[at];
        if (isalnum(c)) {
            size_t end = at;
            while (end < len && (isalnum((unsigned char)text[end]) || text[end] == '\'')) {
                end++;
            }
            read_word(&signs, text + at, end - at, len - at);
            at = end;
            continue;
        }
        signs.sums += is_sum(text + at, len - at) || (c == '%' && at + 4 < len &&
                                                      match(text + at, len - at, "% off"));
        signs.shouts += c == '!' && at + 1 < len && text[at + 1] == '!';
        at++;
    }
    if (signs.words == 0) {
        return 0;
    }
    /* What is much in a line is little in a page. */
    double per = signs.words < 40 ? 1 : 40 / (double)signs.words;
    double score = bounded(signs.phrases, 2) * per;
    score += bounded(0.15 * (double)signs.links * per, 0.3);
    score += bounded(0.1 * (double)signs.sums * per, 0.2);
    score += bounded(0.1 * (double)signs.shouts * per, 0.2);
    score += signs.words >= 5 ? 0.3 * (double)signs.capitals / (double)signs.words : 0;
    return bounded(score, 1);
}
