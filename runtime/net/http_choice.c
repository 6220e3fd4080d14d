#include "runtime/net/http_choice.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The next element of a list with commas, without blanks around; NULL: there is no more. */
static const char *next_element(const char **list, size_t *len)
{
    const char *at = *list + strspn(*list, BLANKS ",");
    if (*at == '\0') {
        return NULL;
    }
    *len = strcspn(at, ",");
    *list = at + *len;
    while (*len > 0 && strchr(BLANKS, at[*len - 1])) {
        --*len;
    }
    return at;
}

/* RFC 9110 12.4.2: "q=0.5", at most three digits behind the point; anything else counts as 1.
 */
static int weight_of(const char *element, size_t len)
{
    const char *parameter = memchr(element, ';', len);
    if (!parameter) {
        return 1000;
    }
    const char *end = element + len;
    const char *at = parameter + 1;
    at += strspn(at, BLANKS);
    if (end - at < 3 || (at[0] != 'q' && at[0] != 'Q') || at[1] != '=' || at[2] != '0') {
        return 1000;
    }
    int weight = 0;
    int unit = 100;
    for (at += at[3] == '.' ? 4 : 3; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10) {
        weight += (*at - '0') * unit;
    }
    return weight;
}

static bool is_word(const char *element, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(element, word, len) == 0;
}

int http_coding_wanted(const struct http_request *request, const char *coding)
{
    bool is_identity = strcmp(coding, "identity") == 0;
    int named = -1;
    int others = -1; /* "*" */
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "accept-encoding") != 0) {
            continue;
        }
        const char *list = request->headers[i].value;
        const char *element = NULL;
        size_t len = 0;
        while ((element = next_element(&list, &len))) {
            const char *semicolon = memchr(element, ';', len);
            size_t word = semicolon ? (size_t)(semicolon - element) : len;
            while (word > 0 && strchr(BLANKS, element[word - 1])) {
                word--;
            }
            if (is_word(element, word, coding)) {
                named = weight_of(element, len);
            } else if (is_word(element, word, "*")) {
                others = weight_of(element, len);
            }
        }
    }
    if (named >= 0) {
        return named;
    }
    return others >= 0 ? others : is_identity ? 1 : 0;
}

bool http_has_etag(const struct http_request *request, const char *etag)
{
    size_t etag_len = strlen(etag);
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "if-none-match") != 0) {
            continue;
        }
        const char *list = request->headers[i].value;
        const char *element = NULL;
        size_t len = 0;
        while ((element = next_element(&list, &len))) {
            bool is_weak = len > 2 && memcmp(element, "W/", 2) == 0;
            const char *tag = element + (is_weak ? 2 : 0);
            len -= is_weak ? 2 : 0;
            if (is_word(tag, len, "*") ||
                (len == etag_len + 2 && tag[0] == '"' && memcmp(tag + 1, etag, etag_len) == 0 &&
                 tag[len - 1] == '"')) {
                return true;
            }
        }
    }
    return false;
}
