/* Any text as a file of settings: comments, types, bounds, unknown names. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/config.h"

struct values {
    bool flag;
    const char *word;
    struct option_strings words;
    long count;
    double ratio;
};

#define AT(field) .offset = offsetof(struct values, field)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const choices[] = {"one", "two", NULL};
    static const struct config_setting items[] = {
        {.help = "Title"},
        {.name = "flag", .type = OPTION_FLAG, AT(flag), .help = ""},
        {.name = "word", .type = OPTION_STRING, AT(word), .choices = choices, .help = ""},
        {.name = "words", .type = OPTION_STRINGS, AT(words), .help = ""},
        {.name = "count", .type = OPTION_INT, AT(count), .min = -3, .max = 9, .help = ""},
        {.name = "ratio", .type = OPTION_DOUBLE, AT(ratio), .help = ""},
    };
    static const struct config_table table = {"fuzz", "fuzz", "", items,
                                              sizeof(items) / sizeof(items[0])};
    struct values values = {.count = 0};
    struct config c;
    struct err e = {0};
    if (config_init(&c, &table, &values, &e) != 0) {
        abort();
    }
    config_read_text(&c, "f", (const char *)data, size);
    if (values.count < -3 || values.count > 9 || values.words.count > OPTION_STRINGS_MAX ||
        (c.n_mistakes > 0) != (c.mistakes.len > 0)) {
        abort();
    }
    config_deinit(&c);
    return 0;
}
