#include <cjson/cJSON.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "models/arch/llama_adapter.h"
#include "models/format/gguf.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/cli/cli.h"

#define ARRAY_HEAD  4  /* items of an array that are shown */
#define STRING_HEAD 64 /* bytes of a string that are shown, on a terminal */

/* How many tensors have each type, and their bytes. */
struct type_use {
    const struct tensor_type_info *type;
    size_t tensors;
    uint64_t bytes;
};

#define MAX_TYPES 64

struct summary {
    struct type_use types[MAX_TYPES];
    size_t n_types;
    uint64_t parameters;
    char sha256[HASH_HEX_LEN + 1];
};

static int summarize(const struct gguf *g, struct summary *s, struct err *e)
{
    *s = (struct summary){0};
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        const struct tensor_type_info *type = tensor_type_info(t->type);
        size_t k = 0;

        while (k < s->n_types && s->types[k].type != type) {
            k++;
        }
        if (k == s->n_types && s->n_types < MAX_TYPES) {
            s->types[s->n_types++].type = type;
        }
        s->types[k].tensors++;
        s->types[k].bytes += t->size;
        s->parameters += t->n_elements;
    }
    return gguf_sha256(g, s->sha256, e);
}

/* Bytes from the file as UTF-8 that is safe to show: what is not UTF-8, and the control
 * characters that JSON leaves alone, become U+FFFD. */
static cJSON *string_to_json(const struct gguf_str *s, size_t max)
{
    struct buf text;
    cJSON *json = NULL;

    buf_init(&text, 4 * s->len + 64);
    for (size_t i = 0; i < s->len;) {
        uint32_t c = 0;
        const int size = utf8_decode(s->data + i, s->len - i, &c);

        if (i >= max) {
            buf_printf(&text, "... (%zu bytes)", s->len);
            break;
        }
        if (size <= 0 || c == 0 || (c >= 0x7f && c < 0xa0)) {
            buf_append_str(&text, "\xef\xbf\xbd");
        } else {
            buf_append(&text, s->data + i, (size_t)size);
        }
        i += size > 0 ? (size_t)size : 1;
    }
    if (!text.failed) {
        json = cJSON_CreateString(text.data ? text.data : "");
    }
    buf_deinit(&text);
    return json;
}

static cJSON *item_to_json(const struct gguf_kv *kv, size_t i, size_t max_string)
{
    char number[GGUF_NUMBER_TEXT];

    if (kv->strings) {
        return string_to_json(&kv->strings[i], max_string);
    }
    gguf_format_number(kv, i, number);
    const bool is_json = kv->item_type == GGUF_BOOL || isdigit((unsigned char)number[0]) ||
                         isdigit((unsigned char)number[1]);
    return is_json ? cJSON_CreateRaw(number) : cJSON_CreateString(number);
}

static cJSON *value_to_json(const struct gguf_kv *kv, size_t max_string)
{
    if (kv->type != GGUF_ARRAY) {
        return item_to_json(kv, 0, max_string);
    }
    cJSON *head = cJSON_CreateArray();
    for (size_t i = 0; i < kv->count && i < ARRAY_HEAD; i++) {
        cJSON_AddItemToArray(head, item_to_json(kv, i, max_string));
    }
    return head;
}

static cJSON *metadata_to_json(const struct gguf *g)
{
    cJSON *all = cJSON_CreateObject();

    for (size_t i = 0; i < gguf_kv_count(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);
        cJSON *entry = cJSON_AddObjectToObject(all, kv->key);
        const bool is_array = kv->type == GGUF_ARRAY;

        cJSON_AddStringToObject(entry, "type", gguf_type_name(kv->type));
        if (is_array) {
            cJSON_AddStringToObject(entry, "item_type", gguf_type_name(kv->item_type));
            cJSON_AddNumberToObject(entry, "count", (double)kv->count);
        }
        cJSON_AddItemToObject(entry, is_array ? "first_items" : "value",
                              value_to_json(kv, SIZE_MAX));
    }
    return all;
}

static cJSON *tensors_to_json(const struct gguf *g)
{
    cJSON *all = cJSON_CreateArray();

    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddStringToObject(entry, "name", t->name);
        cJSON_AddStringToObject(entry, "type", tensor_type_info(t->type)->name);
        cJSON *dims = cJSON_AddArrayToObject(entry, "dims");
        for (uint32_t d = 0; d < t->n_dims; d++) {
            cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)t->dims[d]));
        }
        cJSON_AddNumberToObject(entry, "offset", (double)t->offset);
        cJSON_AddNumberToObject(entry, "bytes", (double)t->size);
        cJSON_AddItemToArray(all, entry);
    }
    return all;
}

static cJSON *types_to_json(const struct summary *s)
{
    cJSON *all = cJSON_CreateObject();

    for (size_t i = 0; i < s->n_types; i++) {
        cJSON *entry = cJSON_AddObjectToObject(all, s->types[i].type->name);

        cJSON_AddNumberToObject(entry, "tensors", (double)s->types[i].tensors);
        cJSON_AddNumberToObject(entry, "bytes", (double)s->types[i].bytes);
    }
    return all;
}

static int print_json(const struct gguf *g, const struct summary *s, struct err *e)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "path", gguf_path(g));
    cJSON_AddNumberToObject(root, "bytes", (double)gguf_file_size(g));
    cJSON_AddStringToObject(root, "sha256", s->sha256);
    cJSON_AddNumberToObject(root, "gguf_version", gguf_version(g));
    cJSON_AddNumberToObject(root, "alignment", gguf_alignment(g));
    cJSON_AddNumberToObject(root, "parameters", (double)s->parameters);
    cJSON_AddItemToObject(root, "types", types_to_json(s));
    cJSON_AddItemToObject(root, "metadata", metadata_to_json(g));
    cJSON_AddItemToObject(root, "tensors", tensors_to_json(g));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return err_nomem(e);
    }
    puts(text);
    cJSON_free(text);
    return 0;
}

static int print_kv(const struct gguf_kv *kv, struct err *e)
{
    cJSON *value = value_to_json(kv, STRING_HEAD);
    char *text = value ? cJSON_PrintUnformatted(value) : NULL;

    cJSON_Delete(value);
    if (!text) {
        return err_nomem(e);
    }
    if (kv->type == GGUF_ARRAY) {
        const size_t shown = strlen(text) - 1; /* the list reopened, to say that it goes on */

        printf("  %-44s %s[%" PRIu64 "]  %.*s%s]\n", kv->key, gguf_type_name(kv->item_type),
               kv->count, (int)shown, text, kv->count > ARRAY_HEAD ? ",..." : "");
    } else {
        printf("  %-44s %s  %s\n", kv->key, gguf_type_name(kv->type), text);
    }
    cJSON_free(text);
    return 0;
}

static void print_tensor(const struct gguf_tensor *t)
{
    char dims[4 * 24] = "";
    size_t len = 0;

    for (uint32_t d = 0; d < t->n_dims; d++) {
        len += (size_t)snprintf(dims + len, sizeof(dims) - len, "%s%" PRIu64,
                                d > 0 ? " x " : "", t->dims[d]);
    }
    printf("  %-32s %-8s %-20s %12" PRIu64 " bytes at %" PRIu64 "\n", t->name,
           tensor_type_info(t->type)->name, dims, t->size, t->offset);
}

/* What an adapter is for, in a line. */
static void print_adapter(const struct gguf *g)
{
    struct gguf_str arch = {0}, base = {0};
    struct err ignored;
    float alpha = 0.0f;
    uint64_t rank = 0;
    if (!llama_adapter_is(g)) {
        return;
    }
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        size_t len = strlen(t->name);
        bool is_a = len > 7 && strcmp(t->name + len - 7, ".lora_a") == 0;
        rank = is_a && t->dims[1] > rank ? t->dims[1] : rank;
    }
    (void)gguf_get_str(g, "general.architecture", &arch, &ignored);
    (void)gguf_get_str(g, "weir.adapter.base_sha256", &base, &ignored);
    (void)gguf_get_f32(g, "adapter.lora.alpha", &alpha, &ignored);
    printf("  a LoRA adapter of rank %" PRIu64 ", alpha %g, for a model of architecture %.*s",
           rank, (double)alpha, (int)arch.len, arch.data ? arch.data : "");
    if (base.len == HASH_HEX_LEN) {
        printf(" with SHA-256 %.12s...", base.data);
    }
    printf("\n");
}

static int print_text(const struct gguf *g, const struct summary *s, struct err *e)
{
    printf("%s\n  GGUF version %" PRIu32 ", %" PRIu64 " bytes, alignment %" PRIu32 "\n",
           gguf_path(g), gguf_version(g), gguf_file_size(g), gguf_alignment(g));
    print_adapter(g);
    printf("  sha256 %s\n  %" PRIu64 " parameters\n\nmetadata (%zu)\n", s->sha256,
           s->parameters, gguf_kv_count(g));
    for (size_t i = 0; i < gguf_kv_count(g); i++) {
        if (print_kv(gguf_kv_at(g, i), e) != 0) {
            return -1;
        }
    }
    printf("\ntensors (%zu)\n", gguf_tensor_count(g));
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        print_tensor(gguf_tensor_at(g, i));
    }
    printf("\ntypes (%zu)\n", s->n_types);
    for (size_t i = 0; i < s->n_types; i++) {
        printf("  %-8s %6zu tensors %14" PRIu64 " bytes\n", s->types[i].type->name,
               s->types[i].tensors, s->types[i].bytes);
    }
    return 0;
}

int cli_inspect(int argc, char **argv)
{
    bool json = false;
    const struct option table[] = {
        {"json", 0, OPTION_FLAG, &json, NULL, "print one JSON object", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir inspect FILE [--json]",
        .summary = "Show a model file's metadata, tensors, types, sizes and hash.",
        .table = table,
    };
    struct err e = {0};
    struct summary summary;
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);

    if (status >= 0) {
        return status;
    }
    if (positional != 1) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    struct gguf *g = gguf_open(argv[1], &e);
    status = 0;
    if (!g || summarize(g, &summary, &e) != 0 ||
        (json ? print_json(g, &summary, &e) : print_text(g, &summary, &e)) != 0) {
        status = cli_fail("inspect", &e);
    }
    gguf_close(g);
    return status;
}
