#include <stdlib.h>
#include <string.h>

#include "runtime/base/config_parts.h"

/* --- JSON Schema --- */

static const char *when_it_counts(enum config_reload reload)
{
    switch (reload) {
    case CONFIG_LIVE:
        return "at once";
    case CONFIG_MODEL:
        return "with the next version of a model";
    case CONFIG_RESTART:
        return "at a restart";
    case CONFIG_COMMAND:
        break;
    }
    return "";
}

static void add_description(cJSON *to, const struct config_setting *set)
{
    struct buf text;
    buf_init(&text, 4096);
    buf_append_str(&text, set->help);
    if (set->otherwise) {
        buf_printf(&text, ". If it is not given: %s", set->otherwise);
    }
    if (set->environment) {
        buf_printf(&text, ". Or %s in the environment", set->environment);
    }
    buf_printf(&text, ". A change counts %s.", when_it_counts(set->reload));
    cJSON_AddStringToObject(to, "description", text.data ? text.data : "");
    buf_deinit(&text);
}

static void add_bounds(cJSON *to, const struct config_setting *set)
{
    if (set->min < set->max) {
        cJSON_AddNumberToObject(to, "minimum", (double)set->min);
        cJSON_AddNumberToObject(to, "maximum", (double)set->max);
    }
}

static void add_text_rules(cJSON *to, const struct config_setting *set)
{
    cJSON_AddStringToObject(to, "type", "string");
    if (set->pattern) {
        cJSON_AddStringToObject(to, "pattern", set->pattern);
    }
    if (set->choices) {
        cJSON *choices = cJSON_AddArrayToObject(to, "enum");
        for (size_t i = 0; set->choices[i]; i++) {
            cJSON_AddItemToArray(choices, cJSON_CreateString(set->choices[i]));
        }
    }
}

static void add_type(cJSON *to, const struct config_setting *set)
{
    switch (set->type) {
    case OPTION_FLAG:
        cJSON_AddStringToObject(to, "type", "boolean");
        cJSON_AddBoolToObject(to, "default", set->initial && strcmp(set->initial, "true") == 0);
        break;
    case OPTION_STRING:
        add_text_rules(to, set);
        if (set->initial) {
            cJSON_AddStringToObject(to, "default", set->initial);
        }
        break;
    case OPTION_STRINGS:
        cJSON_AddStringToObject(to, "type", "array");
        cJSON_AddNumberToObject(to, "maxItems", OPTION_STRINGS_MAX);
        add_text_rules(cJSON_AddObjectToObject(to, "items"), set);
        break;
    case OPTION_INT:
    case OPTION_DOUBLE:
        cJSON_AddStringToObject(to, "type", set->type == OPTION_INT ? "integer" : "number");
        add_bounds(to, set);
        if (set->initial) {
            cJSON_AddNumberToObject(to, "default", strtod(set->initial, NULL));
        }
        break;
    case OPTION_TITLE:
        break;
    }
}

cJSON *config_schema(const struct config_table *table)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(root, "title", table->command);
    cJSON_AddStringToObject(root, "type", "object");
    cJSON_AddFalseToObject(root, "additionalProperties");
    cJSON *properties = cJSON_AddObjectToObject(root, "properties");
    cJSON *schema = cJSON_AddObjectToObject(properties, "$schema");
    cJSON_AddStringToObject(schema, "type", "string");
    for (size_t i = 0; i < table->count; i++) {
        const struct config_setting *set = &table->items[i];
        if (set->name && set->reload != CONFIG_COMMAND) {
            cJSON *property = cJSON_AddObjectToObject(properties, set->name);
            add_description(property, set);
            add_type(property, set);
        }
    }
    return root;
}

/* --- Markdown --- */

static void append_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        buf_append_str(out, *text == '|' ? "\\" : "");
        buf_append_char(out, *text);
    }
}

static void append_names(struct buf *out, const struct config_setting *set)
{
    char option[64];
    config_option_name(set, option, sizeof(option));
    if (set->reload != CONFIG_COMMAND) {
        buf_printf(out, "`%s`<br>", set->name);
    }
    if (set->letter) {
        buf_printf(out, "`-%c`, ", set->letter);
    }
    buf_printf(out, "`--%s", option);
    if (set->argument) {
        buf_append_char(out, ' ');
        append_cell(out, set->argument);
    }
    buf_append_char(out, '`');
    if (set->environment) {
        buf_printf(out, "<br>`%s`", set->environment);
    }
}

static void append_allowed(struct buf *out, const struct config_setting *set)
{
    static const char *const kinds[] = {
        [OPTION_FLAG] = "true, false", [OPTION_STRING] = "text",   [OPTION_STRINGS] = "texts",
        [OPTION_INT] = "whole number", [OPTION_DOUBLE] = "number", [OPTION_TITLE] = ""};
    if (set->choices) {
        for (size_t i = 0; set->choices[i]; i++) {
            buf_printf(out, "%s`%s`", i ? ", " : "", set->choices[i]);
        }
    } else if (set->path != PATH_NONE) {
        buf_append_str(out, set->path == PATH_FOLDER ? "folder" : "file");
    } else if (set->min < set->max) {
        buf_printf(out, "%s, %ld to %ld", kinds[set->type], set->min, set->max);
    } else {
        buf_append_str(out, kinds[set->type]);
    }
}

static void append_default(struct buf *out, const struct config_setting *set)
{
    const char *words = config_default_words(set);
    if (set->type == OPTION_FLAG) {
        buf_append_str(out, "false");
    } else if (words) {
        append_cell(out, words);
    }
}

int config_markdown(const struct config_table *table, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_setting *set = &table->items[i];
        if (!set->name) {
            buf_printf(out,
                       "%s## %s\n\n| setting | allowed | default | a change counts | what |\n"
                       "|---|---|---|---|---|\n",
                       i > 0 ? "\n" : "", set->help);
            continue;
        }
        buf_append_str(out, "| ");
        append_names(out, set);
        buf_append_str(out, " | ");
        append_allowed(out, set);
        buf_append_str(out, " | ");
        append_default(out, set);
        buf_printf(out, " | %s | ", when_it_counts(set->reload));
        append_cell(out, set->help);
        buf_append_str(out, " |\n");
    }
    return out->failed ? -1 : 0;
}
