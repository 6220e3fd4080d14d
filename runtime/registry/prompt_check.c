/* What a version must be like, for JSON from outside and for the store. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/registry/prompt.h"
#include "runtime/registry/prompt_parts.h"

void prompt_field(char out[PROMPT_FIELD_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, PROMPT_FIELD_MAX, format, args);
    va_end(args);
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
}

static int check_count(const char *field, size_t n, size_t max, struct err *e)
{
    return n <= max
               ? 0
               : err_set_param(e, ERR_LIMIT, field,
                               "\"%s\" has %zu items, at most %zu are allowed", field, n, max);
}

static int check_not_empty(const char *field, const char *text, struct err *e)
{
    return text[0] ? 0 : err_set_param(e, ERR_INVALID, field, "\"%s\" is empty", field);
}

static int check_slots(const struct prompt *p, const char *field, const char *text,
                       struct err *e)
{
    struct prompt_slot slot = {0};
    while (prompt_next_slot(text, slot.end, &slot)) {
        if (!prompt_find_variable(p, slot.name, slot.name_len)) {
            int shown = slot.name_len < PROMPT_VARIABLE_NAME_MAX ? (int)slot.name_len
                                                                 : PROMPT_VARIABLE_NAME_MAX;
            return err_set_param(e, ERR_INVALID, field,
                                 "\"%s\" uses {{%.*s}}, which is not declared: add \"%.*s\" to "
                                 "\"variables\"",
                                 field, shown, slot.name, shown, slot.name);
        }
    }
    return 0;
}

static int check_examples(const struct prompt *p, struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    for (size_t i = 0; i < p->n_examples; i++) {
        const char *texts[] = {p->examples[i].user, p->examples[i].assistant};
        for (size_t k = 0; k < 2; k++) {
            prompt_field(field, "examples[%zu].%s", i, k ? "assistant" : "user");
            if (check_not_empty(field, texts[k], e) != 0 ||
                check_slots(p, field, texts[k], e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int check_documents(const struct prompt *p, struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    for (size_t i = 0; i < p->n_documents; i++) {
        const struct prompt_document *d = &p->documents[i];
        prompt_field(field, "documents[%zu].title", i);
        if (check_not_empty(field, d->title, e) != 0 ||
            version_line_check(field, d->title, PROMPT_TITLE_MAX, e) != 0 ||
            check_slots(p, field, d->title, e) != 0) {
            return -1;
        }
        prompt_field(field, "documents[%zu].text", i);
        if (check_not_empty(field, d->text, e) != 0 || check_slots(p, field, d->text, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Reads the name as the text of a slot, so that the two forms cannot differ. */
static bool is_variable_name(const char *name)
{
    char written[PROMPT_VARIABLE_NAME_MAX + 5];
    struct prompt_slot slot;
    int len = snprintf(written, sizeof(written), "{{%s}}", name);
    return len > 0 && (size_t)len < sizeof(written) && prompt_next_slot(written, 0, &slot) &&
           slot.begin == 0 && slot.end == (size_t)len;
}

static int check_variables(const struct prompt *p, struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    for (size_t i = 0; i < p->n_variables; i++) {
        const char *name = p->variables[i].name;
        prompt_field(field, "variables.%s", name);
        if (!is_variable_name(name)) {
            return err_set_param(e, ERR_INVALID, field,
                                 "\"%s\": a variable's name is 1 to %d of a-z, 0-9 and '_', "
                                 "and begins with a letter",
                                 field, PROMPT_VARIABLE_NAME_MAX);
        }
        if (i > 0 && strcmp(p->variables[i - 1].name, name) == 0) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" stands there twice", field);
        }
    }
    return 0;
}

static size_t total_bytes(const struct prompt *p)
{
    size_t sum = p->text_len;
    for (size_t i = 0; i < p->n_examples; i++) {
        sum += strlen(p->examples[i].user) + strlen(p->examples[i].assistant);
    }
    for (size_t i = 0; i < p->n_documents; i++) {
        sum += strlen(p->documents[i].title) + strlen(p->documents[i].text);
    }
    for (size_t i = 0; i < p->n_variables; i++) {
        sum += p->variables[i].value ? strlen(p->variables[i].value) : 0;
    }
    return sum;
}

int prompt_check(const struct prompt *p, struct err *e)
{
    if (check_count("examples", p->n_examples, PROMPT_EXAMPLES_MAX, e) != 0 ||
        check_count("documents", p->n_documents, PROMPT_DOCUMENTS_MAX, e) != 0 ||
        check_count("variables", p->n_variables, PROMPT_VARIABLES_MAX, e) != 0 ||
        version_origin_check(p->author, p->note, e) != 0) {
        return -1;
    }
    size_t bytes = total_bytes(p);
    if (bytes > PROMPT_BYTES_MAX) {
        return err_set_param(e, ERR_LIMIT, "text",
                             "text, examples, documents and variables have %zu bytes together, "
                             "at most %zu are allowed",
                             bytes, PROMPT_BYTES_MAX);
    }
    return check_variables(p, e) != 0 || check_slots(p, "text", p->text, e) != 0 ||
                   check_examples(p, e) != 0 || check_documents(p, e) != 0
               ? -1
               : 0;
}
