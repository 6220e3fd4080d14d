#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/convert/hf_model.h"
#include "models/format/gguf.h"
#include "models/format/gguf_write.h"
#include "models/lineage/lineage.h"
#include "models/model.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

/* The writer borrows tensors until it writes, so those that were converted live in a list. */
struct conversion {
    struct gguf *in;
    struct gguf_writer *out;
    uint32_t type;  /* of matrices */
    void **tensors; /* (gguf_tensor_count) converted data, NULL where the file's own is used */
    uint64_t bytes_out;
};

/* Tables that are added or decide and are not multiplied by as matrices are, and norms of
 * heads: small, and their numbers matter. */
static bool is_table(const char *name)
{
    return strstr(name, ".ffn_gate_inp.") || strstr(name, "_norm.weight") ||
           strcmp(name, "position_embd.weight") == 0 || strcmp(name, "token_types.weight") == 0;
}

/* Matrices take the type asked for, those of experts too. Vectors (norms) are like tables. */
static uint32_t choose_type(const struct conversion *c, const struct gguf_tensor *t)
{
    bool matrix = t->n_dims >= 2 && t->dims[0] % Q8_GROUP == 0 && !is_table(t->name);
    return matrix ? c->type : (uint32_t)TENSOR_F32;
}

static const char *type_name(uint32_t type)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    return info ? info->name : "unknown";
}

/* Also where the type stays: the numbers are checked on the way. */
static int convert_rows(const struct gguf_tensor *t, uint32_t type, float *row, char *to)
{
    size_t n = (size_t)t->dims[0];
    uint64_t rows = t->n_elements / t->dims[0];
    size_t from_bytes = (size_t)tensor_type_row_bytes(t->type, n);
    size_t to_bytes = (size_t)tensor_type_row_bytes(type, n);
    const char *from = t->data;
    for (uint64_t i = 0; i < rows; i++, from += from_bytes, to += to_bytes) {
        if (tensor_row_to_f32(t->type, from, row, n) != 0 ||
            tensor_row_from_f32(type, row, to, n) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_type(const struct conversion *c, const struct gguf_tensor *t, struct err *e)
{
    if (tensor_type_readable(t->type)) {
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: tensor \"%s\" has type %s; " TENSOR_READABLE_NAMES " can be converted",
                   gguf_path(c->in), t->name, type_name(t->type));
}

static int convert(struct conversion *c, size_t i, struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_at(c->in, i);
    uint32_t type = choose_type(c, t);
    if (check_type(c, t, e) != 0) {
        return -1;
    }
    if (t->n_elements == 0) {
        return err_set(e, ERR_FORMAT, "%s: tensor \"%s\" is empty", gguf_path(c->in), t->name);
    }
    uint64_t rows = t->n_elements / t->dims[0];
    size_t row_bytes = (size_t)tensor_type_row_bytes(type, t->dims[0]);
    char *data = mem_array((size_t)rows, row_bytes);
    float *row = mem_array((size_t)t->dims[0], sizeof(*row));
    int rc = data && row ? 0 : err_nomem(e);
    if (rc == 0 && convert_rows(t, type, row, data) != 0) {
        rc = err_set(e, ERR_FORMAT,
                     "%s: tensor \"%s\" holds a number that is not finite or too large for %s",
                     gguf_path(c->in), t->name, type_name(type));
    }
    mem_free(row);
    if (rc != 0) {
        mem_free(data);
        return rc;
    }
    c->bytes_out += rows * row_bytes;
    if (type == t->type) {
        /* The file's own bytes: quantising blocks again could change their scales. */
        mem_free(data);
        data = NULL;
    }
    c->tensors[i] = data;
    gguf_add_tensor(c->out, t->name, type, t->n_dims, t->dims, data ? data : t->data);
    return 0;
}

static void put_metadata(const struct conversion *c)
{
    /* general.file_type of the GGUF specification. */
    uint32_t file_type = c->type == TENSOR_Q8_0 ? 7 : c->type == TENSOR_F16 ? 1 : 0;
    gguf_put_u32(c->out, "general.file_type", file_type);
    if (c->type == TENSOR_Q8_0) {
        gguf_put_u32(c->out, "general.quantization_version", 2);
    }
    gguf_put_copies(c->out, c->in, "");
}

static int convert_all(struct conversion *c, const char *path, struct err *e)
{
    size_t count = gguf_tensor_count(c->in);
    bool progress = isatty(STDERR_FILENO);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (progress) {
            fprintf(stderr, "\r\033[K%zu/%zu %s", i + 1, count, gguf_tensor_at(c->in, i)->name);
        }
        rc = convert(c, i, e);
    }
    if (progress) {
        fputs("\r\033[K", stderr);
    }
    return rc == 0 ? gguf_writer_write(c->out, path, e) : -1;
}

static int quantize(const char *from, const char *to, uint32_t type, struct err *e)
{
    struct conversion c = {.type = type};
    int rc = -1;
    c.in = gguf_open(from, e);
    c.out = c.in ? gguf_writer_create(e) : NULL;
    if (!c.out) {
        goto cleanup;
    }
    c.tensors = mem_zarray(gguf_tensor_count(c.in) + 1, sizeof(*c.tensors));
    if (!c.tensors) {
        err_nomem(e);
        goto cleanup;
    }
    put_metadata(&c);
    rc = convert_all(&c, to, e);
    if (rc == 0) {
        printf("%s: %zu tensors, %.1f MiB; %s has %.1f MiB\n", to, gguf_tensor_count(c.in),
               (double)c.bytes_out / 0x1p20, from, (double)gguf_file_size(c.in) / 0x1p20);
    }
cleanup:
    gguf_writer_destroy(c.out);
    for (size_t i = 0; c.tensors && i < gguf_tensor_count(c.in); i++) {
        mem_free(c.tensors[i]);
    }
    mem_free(c.tensors);
    gguf_close(c.in);
    return rc;
}

/* A folder with config.json, tokenizer.json and safetensors. */
static int quantize_folder(const char *from, const char *to, uint32_t type, struct err *e)
{
    if (hf_model_convert(from, to, type, e) != 0) {
        return -1;
    }
    printf("%s: written from the folder %s\n", to, from);
    return 0;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Loads the model as a server would and writes its matrices as they then lie in memory. */
static int quantize_packed(const char *from, const char *to, struct err *e)
{
    struct gguf *in = gguf_open(from, e);
    struct model *m = in ? model_open(from, MODEL_UNHASHED, &parallel_none, e) : NULL;
    struct gguf_writer *out = m ? gguf_writer_create(e) : NULL;
    int rc = -1;
    if (out) {
        llama_weights_put_packed(&m->weights, &m->config, out);
        gguf_put_copies(out, in, "");
        rc = gguf_writer_write(out, to, e);
    }
    if (rc == 0) {
        printf("%s: packed for loading without conversion; %.1f MiB of weights\n", to,
               (double)m->weights.block_bytes / 0x1p20);
    }
    gguf_writer_destroy(out);
    model_close(m);
    gguf_close(in);
    return rc;
}

static int write_lineage(const char *from, const char *to, const char *type, struct err *e)
{
    struct lineage *l = lineage_create("quantize");
    lineage_parent(l, "model", from);
    lineage_option(l, "type", type);
    int rc = lineage_write(l, to, e);
    lineage_destroy(l);
    return rc;
}

int cli_quantize(int argc, char **argv)
{
    const char *type = "q8_0";
    const struct option table[] = {
        {"type", 0, OPTION_STRING, &type, "TYPE",
         "of matrices: q8_0, packed, f16 or f32 (q8_0)", 0, 0},
        {0},
    };
    const struct options options = {
        "weir quantize IN OUT.gguf [--type q8_0|packed|f16|f32]",
        "Writes a model anew with its matrices in another number format. IN is a GGUF file, or "
        "a "
        "folder with config.json, tokenizer.json and safetensors. packed is q8_0 as the "
        "kernels read it: Weir alone loads it, in no time and without a copy.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    const struct tensor_type_info *info = tensor_type_find(type);
    bool packed = strcmp(type, "packed") == 0;
    bool known = packed || (info && (info->type == TENSOR_Q8_0 || info->type == TENSOR_F16 ||
                                     info->type == TENSOR_F32));
    if (positional != 2 || !known) {
        fprintf(stderr, "weir quantize: %s\nusage: %s\n",
                known ? "IN and OUT are needed" : "--type: q8_0, packed, f16 and f32 are known",
                options.usage);
        return 2;
    }
    struct err e = {0};
    bool folder = is_folder(argv[1]);
    if (packed && folder) {
        fprintf(stderr,
                "weir quantize: --type packed needs a GGUF file: make one of the folder "
                "first, with --type q8_0\n");
        return 2;
    }
    if (packed) {
        rc = quantize_packed(argv[1], argv[2], &e);
    } else {
        rc = (folder ? quantize_folder : quantize)(argv[1], argv[2], info->type, &e);
    }
    if (rc == 0) {
        rc = write_lineage(argv[1], argv[2], type, &e);
    }
    return rc == 0 ? 0 : cli_fail("quantize", &e);
}
