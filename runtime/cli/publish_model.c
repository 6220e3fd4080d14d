#include "runtime/cli/publish_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/format/gguf.h"
#include "models/lineage/lineage.h"
#include "runtime/cli/self_run.h"

#define CHECKPOINT_MAGIC "WEIRCKP" /* and a digit; models/train/checkpoint.h */
#define FLOAT_FILE       ".float.gguf"
#define MERGED_FILE      ".merged.gguf"

enum kind { KIND_GGUF, KIND_FOLDER, KIND_CHECKPOINT, KIND_ADAPTER };

static int read_kind(const char *path, enum kind *kind, struct err *e)
{
    struct stat st;
    char magic[sizeof(CHECKPOINT_MAGIC) - 1] = "";
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        *kind = KIND_FOLDER;
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, magic, sizeof(magic)) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n == (ssize_t)sizeof(magic) && memcmp(magic, CHECKPOINT_MAGIC, sizeof(magic)) == 0) {
        *kind = KIND_CHECKPOINT;
        return 0;
    }
    struct gguf *g = gguf_open(path, e);
    if (!g) {
        return -1;
    }
    struct gguf_str type = {"", 0};
    struct err unused;
    gguf_get_str(g, "general.type", &type, &unused);
    *kind = type.len == 7 && memcmp(type.data, "adapter", 7) == 0 ? KIND_ADAPTER : KIND_GGUF;
    gguf_close(g);
    return 0;
}

/* Whether most of a file's bytes are floats, or it is of several parts. */
static bool is_to_be_quantised(const char *path)
{
    struct err unused;
    uint64_t wide = 0, all = 0;
    struct gguf *g = gguf_open(path, &unused);
    for (size_t i = 0; g && i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        bool is_wide = t->type == TENSOR_F32 || t->type == TENSOR_F16 || t->type == TENSOR_BF16;
        all += t->size;
        wide += is_wide ? t->size : 0;
    }
    bool is_split = g && gguf_has(g, "split.count");
    gguf_close(g);
    return wide > all / 2 || is_split;
}

static int quantise(const struct publish_place *p, const char *from, const char *type,
                    struct err *e)
{
    char to[PATH_MAX];
    const char *const args[] = {"quantize", from, to, "--type", type, NULL};
    return publish_place_path(p, PUBLISH_MODEL_FILE, to, e) == 0 ? self_run(args, NULL, e) : -1;
}

/* A GGUF file or folder whose matrices shall have the type that is asked for. */
static int take_model(const struct publish_place *p, const struct publish_source *s,
                      const char *from, bool is_folder, bool *is_copy, struct err *e)
{
    bool keeps = s->type && strcmp(s->type, "keep") == 0;
    const char *type = s->type && !keeps ? s->type : "q8_0";
    if (keeps && is_folder) {
        return err_set(e, ERR_INVALID,
                       "--type keep: %s is a folder of safetensors; it is published as a GGUF "
                       "file of type q8_0, f16 or f32",
                       from);
    }
    if (is_folder || (s->type && !keeps) || (!keeps && is_to_be_quantised(from))) {
        return quantise(p, from, type, e);
    }
    *is_copy = from == s->model;
    return publish_place_copy(p, from, PUBLISH_MODEL_FILE, e);
}

static int take_checkpoint(const struct publish_place *p, const struct publish_source *s,
                           struct err *e)
{
    char wide[PATH_MAX], direct[PATH_MAX];
    bool is_direct = !s->type || strcmp(s->type, "q8_0") == 0 || strcmp(s->type, "f32") == 0 ||
                     strcmp(s->type, "keep") == 0;
    bool is_float = s->type && strcmp(s->type, "q8_0") != 0;
    if (!s->vocab) {
        return err_set_param(e, ERR_INVALID, "vocab",
                             "%s is a checkpoint: --vocab FILE.gguf must say what its tokens "
                             "are",
                             s->model);
    }
    if (publish_place_path(p, FLOAT_FILE, wide, e) != 0 ||
        publish_place_path(p, PUBLISH_MODEL_FILE, direct, e) != 0) {
        return -1;
    }
    const char *const args[] = {"train",
                                "export",
                                s->model,
                                "--vocab",
                                s->vocab,
                                "--type",
                                is_float ? "f32" : "q8_0",
                                "--name",
                                s->name,
                                is_direct ? direct : wide,
                                NULL};
    if (self_run(args, NULL, e) != 0) {
        return -1;
    }
    return is_direct ? 0 : quantise(p, wide, s->type, e);
}

static int take_adapter(const struct publish_place *p, const struct publish_source *s,
                        struct err *e)
{
    char merged[PATH_MAX];
    if (!s->base) {
        return err_set_param(e, ERR_INVALID, "base",
                             "%s is an adapter: --base FILE.gguf must say of which model",
                             s->model);
    }
    const char *const args[] = {"train",     "merge",  "-m",   s->base,
                                "--adapter", s->model, merged, NULL};
    if (publish_place_path(p, MERGED_FILE, merged, e) != 0 || self_run(args, NULL, e) != 0) {
        return -1;
    }
    bool is_copy = false;
    const char *type = s->type && strcmp(s->type, "keep") != 0 ? s->type : "q8_0";
    struct publish_source as_model = *s;
    as_model.type = type;
    return take_model(p, &as_model, merged, false, &is_copy, e);
}

int publish_model_make(const struct publish_place *p, const struct publish_source *s,
                       bool *is_copy, struct err *e)
{
    enum kind kind;
    *is_copy = false;
    if (read_kind(s->model, &kind, e) != 0) {
        return -1;
    }
    switch (kind) {
    case KIND_CHECKPOINT:
        return take_checkpoint(p, s, e);
    case KIND_ADAPTER:
        return take_adapter(p, s, e);
    default:
        return take_model(p, s, s->model, kind == KIND_FOLDER, is_copy, e);
    }
}
