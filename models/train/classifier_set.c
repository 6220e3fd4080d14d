#include "models/train/classifier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filters/guard_words.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define TEXT_MAX ((size_t)1 << 30)

void classifier_set_init(struct classifier_set *set)
{
    *set = (struct classifier_set){0};
    buf_init(&set->text, TEXT_MAX);
}

void classifier_set_deinit(struct classifier_set *set)
{
    mem_free(set->examples);
    mem_free(set->features);
    buf_deinit(&set->text);
}

static bool is_category(const char *label, int category)
{
    const char *name = guard_category_names[category];
    for (; *label && (*label == *name || (*label == '_' && *name == '-')); label++) {
        name++;
    }
    return *label == '\0' && *name == '\0';
}

/* A list of category names as bits. */
static int read_bits(const cJSON *list, uint32_t *bits, struct err *e)
{
    if (!cJSON_IsArray(list)) {
        return err_set(e, ERR_FORMAT, "\"labels\" and \"judged\" are lists of categories");
    }
    *bits = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int c = 0;
        while (c < GUARD_CATEGORIES &&
               !(cJSON_IsString(item) && is_category(item->valuestring, c))) {
            c++;
        }
        if (c == GUARD_CATEGORIES) {
            return err_set(e, ERR_FORMAT, "there is no category \"%.40s\"",
                           cJSON_IsString(item) ? item->valuestring : "");
        }
        *bits |= 1u << c;
    }
    return 0;
}

static uint32_t *room_for(struct classifier_set *set, size_t count)
{
    if (set->feature_count + count > set->feature_room) {
        size_t room = 2 * set->feature_room + count;
        uint32_t *grown = mem_realloc_array(set->features, room, sizeof(*grown));
        if (!grown) {
            return NULL;
        }
        set->features = grown;
        set->feature_room = room;
    }
    uint32_t *at = set->features + set->feature_count;
    set->feature_count += count;
    return at;
}

static int add_features(struct classifier_set *set, struct classifier_example *example,
                        const char *text)
{
    struct guard_reader reader;
    struct guard_word word;
    example->feature = set->feature_count;
    guard_reader_init(&reader, text, example->len);
    while (guard_reader_next(&reader, &word)) {
        uint32_t *at = room_for(set, 2 + word.n_words + word.n_runs);
        if (!at) {
            return -1;
        }
        at[0] = (uint32_t)word.n_words;
        at[1] = (uint32_t)word.n_runs;
        memcpy(at + 2, word.words, word.n_words * sizeof(*at));
        memcpy(at + 2 + word.n_words, word.runs, word.n_runs * sizeof(*at));
        example->words++;
    }
    return 0;
}

static int add_example(struct classifier_set *set, const cJSON *line, struct err *e)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");
    const cJSON *judged = cJSON_GetObjectItemCaseSensitive(line, "judged");
    struct classifier_example example = {.judged = (1u << GUARD_CATEGORIES) - 1};
    if (!cJSON_IsString(text)) {
        return err_set(e, ERR_FORMAT, "\"text\" is not a string");
    }
    if (read_bits(cJSON_GetObjectItemCaseSensitive(line, "labels"), &example.labels, e) != 0 ||
        (judged && read_bits(judged, &example.judged, e) != 0)) {
        return -1;
    }
    if (set->count == set->room) {
        size_t room = set->room ? 2 * set->room : 1024;
        struct classifier_example *grown =
            mem_realloc_array(set->examples, room, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        set->examples = grown;
        set->room = room;
    }
    example.text = set->text.len;
    example.len = (uint32_t)strlen(text->valuestring);
    if (buf_append(&set->text, text->valuestring, example.len) != 0 ||
        add_features(set, &example, text->valuestring) != 0) {
        return err_nomem(e);
    }
    set->examples[set->count++] = example;
    return 0;
}

int classifier_set_read(struct classifier_set *set, const char *path, struct err *e)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        return err_set_errno(e, errno, "%s: cannot open", path);
    }
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len;
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &room, f)) >= 0) {
        number++;
        if (len > 0 && line[0] != '\n') {
            cJSON *object = json_parse(line, (size_t)len, e);
            rc = object ? add_example(set, object, e) : -1;
            cJSON_Delete(object);
        }
        if (rc != 0) {
            err_prefix(e, "%s:%zu", path, number);
        }
    }
    if (rc == 0 && ferror(f)) {
        rc = err_set_errno(e, errno, "%s: cannot read", path);
    }
    free(line);
    fclose(f);
    return rc;
}
