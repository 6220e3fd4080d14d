#include "runtime/cli/ctl_print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *ctl_text(const cJSON *object, const char *field)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, field));
    return text ? text : "";
}

/* A value that fits into a cell; else "...". */
static void write_value(char *out, size_t size, const cJSON *value)
{
    if (cJSON_IsNumber(value)) {
        snprintf(out, size, "%.0f", value->valuedouble);
    } else if (cJSON_IsBool(value)) {
        snprintf(out, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    } else if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
        snprintf(out, size, "...");
    } else {
        out[0] = '\0';
    }
}

void ctl_add_cell(struct text_table *t, const cJSON *object, const char *field)
{
    char shown[64];
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, field);
    if (cJSON_IsString(value)) {
        text_table_add(t, value->valuestring);
        return;
    }
    write_value(shown, sizeof(shown), value);
    text_table_add(t, shown);
}

void ctl_add_time(struct text_table *t, const cJSON *object, const char *field)
{
    char shown[64] = "";
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, field);
    if (cJSON_IsNumber(value) && value->valuedouble > 0 && value->valuedouble < 1e11) {
        time_t seconds = (time_t)value->valuedouble;
        struct tm utc;
        if (gmtime_r(&seconds, &utc)) {
            strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M:%SZ", &utc);
        }
    }
    text_table_add(t, shown);
}

/* Appends "LABEL=VERSION" for each, with spaces between. */
static void append_labels(struct buf *out, const cJSON *profile)
{
    char version[64];
    const cJSON *label;
    cJSON_ArrayForEach(label, cJSON_GetObjectItemCaseSensitive(profile, "labels"))
    {
        write_value(version, sizeof(version), label);
        buf_printf(out, "%s%s=%s", out->len > 0 ? " " : "", label->string, version);
    }
}

/* "4: 10%", or "". */
static void write_split(char *out, size_t size, const cJSON *profile)
{
    const cJSON *split = cJSON_GetObjectItemCaseSensitive(profile, "split");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(split, "version");
    const cJSON *percent = cJSON_GetObjectItemCaseSensitive(split, "percent");
    out[0] = '\0';
    if (cJSON_IsNumber(version) && cJSON_IsNumber(percent)) {
        snprintf(out, size, "%.0f: %g%%", version->valuedouble, percent->valuedouble);
    }
}

void ctl_add_split(struct text_table *t, const cJSON *profile)
{
    char shown[64];
    write_split(shown, sizeof(shown), profile);
    text_table_add(t, shown);
}

void ctl_print_profile(const cJSON *profile)
{
    char value[64];
    struct buf labels;
    const cJSON *active = cJSON_GetObjectItemCaseSensitive(profile, "active");
    write_value(value, sizeof(value), active);
    printf("%s: ", ctl_text(profile, "name"));
    if (cJSON_IsNumber(active) && active->valuedouble > 0) {
        printf("version %s is active", value);
    } else {
        printf("no version is active");
    }
    write_value(value, sizeof(value), cJSON_GetObjectItemCaseSensitive(profile, "latest"));
    printf(", the latest is %s", value);
    write_split(value, sizeof(value), profile);
    if (value[0]) {
        printf(", split %s", value);
    }
    buf_init(&labels, 65536);
    append_labels(&labels, profile);
    if (labels.data) {
        printf(", labels %s", labels.data);
    }
    buf_deinit(&labels);
    if (strcmp(ctl_text(profile, "from"), "file") == 0) {
        /* Of chains: what counts is not in the store. */
        write_value(value, sizeof(value), cJSON_GetObjectItemCaseSensitive(profile, "version"));
        printf(", requests get version %s of a file", value);
    }
    write_value(value, sizeof(value), cJSON_GetObjectItemCaseSensitive(profile, "revision"));
    printf(" (revision %s)\n", value);
}

/* --- a version --- */

/* Nothing when it is missing or "". */
static void add_field(struct text_table *t, const cJSON *version, const char *field)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(version, field);
    if (value && !(cJSON_IsString(value) && value->valuestring[0] == '\0')) {
        text_table_add(t, field);
        ctl_add_cell(t, version, field);
        text_table_end_row(t);
    }
}

static void add_variables(struct text_table *t, const cJSON *version)
{
    const cJSON *variable;
    cJSON_ArrayForEach(variable, cJSON_GetObjectItemCaseSensitive(version, "variables"))
    {
        char name[80];
        snprintf(name, sizeof(name), "{{%s}}", variable->string);
        text_table_add(t, name);
        text_table_add(t, cJSON_IsString(variable) ? variable->valuestring
                                                   : "(each request gives it)");
        text_table_end_row(t);
    }
}

static void print_texts(const cJSON *version)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(version, "examples"))
    {
        printf("\nExample\nUser: %s\nAssistant: %s\n", ctl_text(item, "user"),
               ctl_text(item, "assistant"));
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(version, "documents"))
    {
        printf("\nDocument: %s\n%s\n", ctl_text(item, "title"), ctl_text(item, "text"));
    }
    printf("\n%s\n", ctl_text(version, "text"));
}

/* Fields of any version, and of prompts. */
static void add_origin(struct text_table *t, const cJSON *version)
{
    add_field(t, version, "name");
    add_field(t, version, "version");
    text_table_add(t, "sha256");
    text_table_add(t, ctl_text(version, "sha256"));
    text_table_end_row(t);
    text_table_add(t, "created");
    ctl_add_time(t, version, "created");
    text_table_end_row(t);
    add_field(t, version, "mode");
    add_field(t, version, "author");
    add_field(t, version, "note");
}

int ctl_print_origin(const cJSON *version, struct err *e)
{
    struct text_table t;
    text_table_init(&t);
    add_origin(&t, version);
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

int ctl_print_version(const cJSON *version, struct err *e)
{
    struct text_table t;
    text_table_init(&t);
    add_origin(&t, version);
    add_variables(&t, version);
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    if (rc == 0) {
        print_texts(version);
    }
    return rc;
}
