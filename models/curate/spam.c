#include "models/curate/spam.h"

#include <ctype.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct phrase {
    const char *text; /* small letters; a blank stands for any run of blanks */
    double weight;
};

/* In order. */
static const struct phrase phrases[] = {
    {"% off", 0.3},
    {"100% ", 0.1},
    {"a day from home", 0.25},
    {"account", 0.12},
    {"account has been suspended", 0.35},
    {"account will be closed", 0.35},
    {"act fast", 0.3},
    {"act now", 0.3},
    {"advertisement", 0.25},
    {"affiliate", 0.25},
    {"amazing", 0.06},
    {"anti-aging", 0.25},
    {"apply now", 0.35},
    {"as seen on tv", 0.35},
    {"ask me how", 0.25},
    {"at no cost", 0.25},
    {"backlinks", 0.3},
    {"bad credit", 0.35},
    {"bank details", 0.35},
    {"bargain", 0.12},
    {"before midnight", 0.25},
    {"belly fat", 0.35},
    {"beneficiary", 0.35},
    {"best deals", 0.25},
    {"best price", 0.3},
    {"betting", 0.25},
    {"binary options", 0.35},
    {"bitcoin", 0.12},
    {"bonus", 0.15},
    {"brand new", 0.25},
    {"buy now", 0.35},
    {"call now", 0.3},
    {"call us", 0.25},
    {"call us now", 0.35},
    {"cancel anytime", 0.35},
    {"cash", 0.12},
    {"cash prize", 0.35},
    {"casino", 0.3},
    {"certified", 0.12},
    {"cheap", 0.12},
    {"claim now", 0.35},
    {"claim your", 0.35},
    {"clearance", 0.25},
    {"click", 0.12},
    {"click below", 0.3},
    {"click here", 0.35},
    {"click the link", 0.35},
    {"coins", 0.12},
    {"compensation", 0.12},
    {"confirm your", 0.25},
    {"congratulations", 0.12},
    {"contact us", 0.25},
    {"coupon", 0.2},
    {"credit", 0.12},
    {"credit score", 0.15},
    {"crypto", 0.12},
    {"customs fee", 0.25},
    {"dating", 0.25},
    {"deal", 0.06},
    {"deals", 0.12},
    {"debt relief", 0.25},
    {"delivery fee", 0.25},
    {"detox", 0.25},
    {"discount", 0.2},
    {"dm me", 0.25},
    {"do not miss", 0.2},
    {"do not wait", 0.25},
    {"doctors hate", 0.4},
    {"don't miss", 0.25},
    {"don't wait", 0.25},
    {"double the", 0.25},
    {"double your", 0.25},
    {"earn money", 0.3},
    {"easy money", 0.25},
    {"ends soon", 0.25},
    {"ends tonight", 0.25},
    {"enlargement", 0.35},
    {"enroll now", 0.35},
    {"exclusive", 0.12},
    {"exclusive deal", 0.3},
    {"extra cash", 0.25},
    {"extra income", 0.3},
    {"factory price", 0.25},
    {"fans", 0.12},
    {"fast cash", 0.25},
    {"fat", 0.12},
    {"financial freedom", 0.3},
    {"follow the link", 0.35},
    {"followers", 0.15},
    {"for free", 0.1},
    {"forex", 0.25},
    {"free", 0.12},
    {"free consultation", 0.25},
    {"free delivery", 0.25},
    {"free gift", 0.3},
    {"free iphone", 0.35},
    {"free money", 0.35},
    {"free sample", 0.25},
    {"free shipping", 0.35},
    {"free spins", 0.35},
    {"free trial", 0.25},
    {"from the comfort of your home", 0.35},
    {"get rich", 0.3},
    {"gift card", 0.35},
    {"giveaway", 0.25},
    {"grow your", 0.25},
    {"guarantee", 0.15},
    {"guaranteed", 0.12},
    {"high returns", 0.25},
    {"hot singles", 0.35},
    {"hurry", 0.2},
    {"inheritance", 0.35},
    {"instant approval", 0.35},
    {"instantly", 0.12},
    {"insurance", 0.12},
    {"invest", 0.08},
    {"jackpot", 0.25},
    {"join now", 0.35},
    {"last chance", 0.35},
    {"lawyer", 0.12},
    {"likes", 0.12},
    {"limited offer", 0.3},
    {"limited stock", 0.35},
    {"limited time", 0.3},
    {"link", 0.12},
    {"link below", 0.35},
    {"link in bio", 0.4},
    {"little known", 0.12},
    {"loan", 0.12},
    {"lose weight", 0.25},
    {"lottery", 0.2},
    {"lowest price", 0.3},
    {"lowest rates", 0.35},
    {"make money", 0.25},
    {"masterclass", 0.25},
    {"millionaire", 0.25},
    {"miracle", 0.12},
    {"money back", 0.25},
    {"mortgage", 0.12},
    {"no cost", 0.25},
    {"no credit check", 0.4},
    {"no obligation", 0.3},
    {"offer", 0.12},
    {"offers", 0.12},
    {"once in a lifetime", 0.35},
    {"one weird trick", 0.4},
    {"order now", 0.3},
    {"original", 0.12},
    {"original price", 0.12},
    {"our website", 0.12},
    {"overnight", 0.12},
    {"package", 0.12},
    {"parcel", 0.12},
    {"passive income", 0.25},
    {"pay the fee", 0.25},
    {"payday", 0.25},
    {"payment", 0.12},
    {"per day from", 0.25},
    {"pills", 0.15},
    {"powder", 0.12},
    {"pre-approved", 0.35},
    {"preapproved", 0.35},
    {"premium", 0.12},
    {"price", 0.12},
    {"prices", 0.12},
    {"prize", 0.15},
    {"profits", 0.25},
    {"promo code", 0.35},
    {"proven method", 0.25},
    {"proven system", 0.25},
    {"quick cash", 0.25},
    {"refinance", 0.25},
    {"register", 0.12},
    {"replica", 0.15},
    {"reply with", 0.25},
    {"reserve", 0.12},
    {"risk free", 0.3},
    {"risk-free", 0.3},
    {"robot", 0.12},
    {"sale", 0.12},
    {"satisfaction guaranteed", 0.35},
    {"save", 0.12},
    {"search engine", 0.25},
    {"seats left", 0.35},
    {"secret", 0.12},
    {"secret method", 0.25},
    {"selected", 0.06},
    {"seo", 0.15},
    {"ships free", 0.25},
    {"shop", 0.12},
    {"shop now", 0.35},
    {"sign up", 0.12},
    {"singles", 0.25},
    {"slashed", 0.25},
    {"slim", 0.25},
    {"slots", 0.25},
    {"special offer", 0.3},
    {"spin the", 0.25},
    {"sponsored", 0.25},
    {"spots left", 0.35},
    {"store now", 0.12},
    {"subscribe", 0.12},
    {"supplement", 0.25},
    {"sure win", 0.25},
    {"tap the link", 0.35},
    {"telegram", 0.15},
    {"text stop", 0.25},
    {"text us", 0.35},
    {"text yes", 0.25},
    {"the fee", 0.25},
    {"today only", 0.3},
    {"token", 0.12},
    {"tonight", 0.12},
    {"tonight only", 0.12},
    {"trading bot", 0.25},
    {"trading robot", 0.25},
    {"traffic", 0.12},
    {"unbelievable", 0.12},
    {"unsubscribe", 0.25},
    {"update your payment", 0.35},
    {"upgrade", 0.12},
    {"urgent", 0.1},
    {"verify your", 0.25},
    {"verify your account", 0.35},
    {"viagra", 0.4},
    {"visit our", 0.15},
    {"voucher", 0.25},
    {"webcam", 0.25},
    {"webinar", 0.25},
    {"weight loss", 0.2},
    {"western union", 0.35},
    {"what are you waiting for", 0.25},
    {"whatsapp", 0.2},
    {"while stocks last", 0.35},
    {"while supplies", 0.3},
    {"wholesale", 0.25},
    {"win", 0.12},
    {"winner", 0.15},
    {"winning", 0.25},
    {"wire transfer", 0.35},
    {"won", 0.12},
    {"work from home", 0.25},
    {"you have won", 0.4},
    {"you won", 0.25},
};

#define PHRASES (sizeof(phrases) / sizeof(phrases[0]))

static uint16_t first_phrase[UCHAR_MAX + 2]; /* by first byte; the next one's is the end */
static pthread_once_t first_phrase_once = PTHREAD_ONCE_INIT;

static void find_first_phrases(void)
{
    for (size_t c = 0, i = 0; c < UCHAR_MAX + 2; c++) {
        while (i < PHRASES && (unsigned char)phrases[i].text[0] < c) {
            i++;
        }
        first_phrase[c] = (uint16_t)i;
    }
}

/* Without a locale. */
static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

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
        } else if (small(text[n]) == *phrase) {
            n++;
        } else {
            return 0;
        }
    }
    return n;
}

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
    int first = (unsigned char)small(*s);
    for (size_t i = first_phrase[first]; i < first_phrase[first + 1]; i++) {
        if (!signs->is_seen[i] && match(s, rest, phrases[i].text)) {
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
    pthread_once(&first_phrase_once, find_first_phrases);
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
        signs.sums += is_sum(text + at, len - at) ||
                      (c == '%' && at + 4 < len && match(text + at, len - at, "% off"));
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
