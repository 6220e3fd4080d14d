#include "models/model.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "models/arch/llama_share.h"
#include "models/convert/hf_model.h"
#include "runtime/base/mem.h"

/* Letters, digits, '.', '_' and '-' stay, all else becomes '-': the name is used in URLs and
 * headers. */
static void copy_name(char out[MODEL_NAME_MAX], const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n < MODEL_NAME_MAX - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        bool keep = c < 128 && (isalnum(c) || c == '.' || c == '_' || c == '-');
        out[n++] = keep ? (char)c : '-';
    }
    out[n] = '\0';
}

static void name_from_path(char out[MODEL_NAME_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    copy_name(out, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static int read_identity(struct model *m, const struct gguf *g, struct err *e)
{
    struct gguf_str text;
    name_from_path(m->name, gguf_path(g));
    if (gguf_has(g, "general.name")) {
        if (gguf_get_str(g, "general.name", &text, e) != 0) {
            return -1;
        }
        if (text.len > 0) {
            copy_name(m->name, text.data, text.len);
        }
    }
    if (gguf_has(g, "general.version")) {
        if (gguf_get_str(g, "general.version", &text, e) != 0) {
            return -1;
        }
        copy_name(m->version, text.data, text.len);
    }
    m->file_bytes = gguf_file_size(g);
    return 0;
}

/* How a model is opened. */
struct opening {
    enum model_hashing hashing;
    enum llama_precision precision;
    struct gguf_str chat_template; /* data NULL: that of the file */
};

static int read_template(struct model *m, const struct gguf *g, const struct opening *o,
                         struct err *e)
{
    struct gguf_str source = o->chat_template;
    if (source.data) {
        m->chat_template = chat_template_compile(source.data, source.len, e);
        return m->chat_template ? 0 : err_prefix(e, "%s: the template for it", gguf_path(g));
    }
    if (!gguf_has(g, "tokenizer.chat_template")) {
        return 0;
    }
    m->chat_template = chat_template_from_gguf(g, e);
    return m->chat_template ? 0 : -1;
}

/* Which share of it this process has. */
static int take_share(struct model *m, const struct gguf *g, const struct parallel *p,
                      struct err *e)
{
    if (!p->ranks) {
        return 0;
    }
    m->config.rank = p->ranks->rank;
    m->config.n_ranks = p->ranks->n_ranks;
    return llama_share_check(&m->config, e) == 0 ? 0 : err_prefix(e, "%s", gguf_path(g));
}

static int load(struct model *m, struct gguf *g, const struct opening *o,
                const struct parallel *p, struct err *e)
{
    if (llama_config_from_gguf(&m->config, g, e) != 0 || take_share(m, g, p, e) != 0) {
        return -1;
    }
    m->tokenizer = tokenizer_from_gguf(g, e);
    if (!m->tokenizer) {
        return -1;
    }
    if (tokenizer_vocab_size(m->tokenizer) != m->config.vocab) {
        return err_set(e, ERR_FORMAT, "%s: the vocabulary has %d tokens, the embedding %d rows",
                       gguf_path(g), tokenizer_vocab_size(m->tokenizer), m->config.vocab);
    }
    if (read_template(m, g, o, e) != 0 ||
        llama_weights_init(&m->weights, &m->config, g, o->precision, p, e) != 0 ||
        read_identity(m, g, e) != 0) {
        return -1;
    }
    if (o->hashing == MODEL_HASHED &&
        ((m->weights.in_file && gguf_detach(g, e) != 0) || gguf_sha256(g, m->sha256, e) != 0)) {
        return -1;
    }
    return gguf_check_whole(g, e);
}

static struct gguf *open_any(const char *path, struct err *e)
{
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return folder ? hf_model_open(path, TENSOR_Q8_0, e) : gguf_open(path, e);
}

/* Zeroes in place of what is gone look like any other mistake in a file. */
static void explain(const struct gguf *g, struct err *e)
{
    struct err cut = {0};
    if (gguf_check_whole(g, &cut) != 0) {
        *e = cut;
    }
}

static struct model *open_with(const char *path, const struct opening *o,
                               const struct parallel *p, struct err *e)
{
    struct gguf *g = open_any(path, e);
    if (!g) {
        return NULL;
    }
    struct model *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
    } else if (load(m, g, o, p, e) != 0) {
        explain(g, e);
        model_close(m);
        m = NULL;
    }
    if (m && m->weights.in_file) {
        m->file = g;
    } else {
        gguf_close(g);
    }
    return m;
}

struct model *model_open(const char *path, enum model_hashing hashing, const struct parallel *p,
                         struct err *e)
{
    const struct opening o = {.hashing = hashing, .precision = LLAMA_INT8};
    return open_with(path, &o, p, e);
}

struct model *model_open_templated(const char *path, const char *chat_template, size_t len,
                                   const struct parallel *p, struct err *e)
{
    const struct opening o = {.hashing = MODEL_HASHED,
                              .precision = LLAMA_INT8,
                              .chat_template = {chat_template, len}};
    return open_with(path, &o, p, e);
}

struct model *model_open_as(const char *path, enum llama_precision precision,
                            const struct parallel *p, struct err *e)
{
    const struct opening o = {.hashing = MODEL_UNHASHED, .precision = precision};
    return open_with(path, &o, p, e);
}

void model_close(struct model *m)
{
    if (!m) {
        return;
    }
    llama_weights_deinit(&m->weights);
    tokenizer_destroy(m->tokenizer);
    chat_template_destroy(m->chat_template);
    gguf_close(m->file);
    mem_free(m);
}
