#include "runtime/api/embeddings_reply.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/base64.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

/* The first numbers of a vector, again of length 1. */
static void shorten(float *out, const float *vector, size_t n)
{
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)vector[i] * (double)vector[i];
    }
    double length = squares > 0.0 ? sqrt(squares) : 1.0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((double)vector[i] / length);
    }
}

static void append_array(struct buf *out, const float *vector, size_t n)
{
    char number[32];
    for (size_t i = 0; i < n; i++) {
        /* Nine digits give the same float back. */
        int digits =
            snprintf(number, sizeof(number), "%c%.9g", i > 0 ? ',' : '[', (double)vector[i]);
        buf_append(out, number, (size_t)digits);
    }
    buf_append_char(out, ']');
}

/* bytes: room for n numbers. */
static void append_base64(struct buf *out, const float *vector, size_t n, unsigned char *bytes)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof(bits));
        for (unsigned k = 0; k < 4; k++) {
            bytes[4 * i + k] = (unsigned char)(bits >> 8 * k);
        }
    }
    buf_append_char(out, '"');
    base64_append(out, bytes, 4 * n);
    buf_append_char(out, '"');
}

static void append_data(struct buf *out, const struct embeddings_reply *r, float *shortened,
                        unsigned char *bytes)
{
    for (size_t i = 0; i < r->n_vectors; i++) {
        const float *vector = r->vectors + i * r->d_model;
        if (r->dimensions < r->d_model) {
            shorten(shortened, vector, r->dimensions);
            vector = shortened;
        }
        buf_printf(out,
                   "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "",
                   i);
        if (r->base64) {
            append_base64(out, vector, r->dimensions, bytes);
        } else {
            append_array(out, vector, r->dimensions);
        }
        buf_append_char(out, '}');
    }
}

/* "model":"...","usage":{...} and the end of the object: what is made of text goes through
 * cJSON. */
static void append_end(struct buf *out, const struct embeddings_reply *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)r->prompt_tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)r->prompt_tokens);
    size_t len = 0;
    char *text = json_text_take(root, &len);
    if (text) {
        buf_append(out, text + 1, len - 1); /* without the brace that opens it */
    } else {
        out->failed = true;
    }
    mem_free(text);
}

char *embeddings_reply_text(const struct embeddings_reply *r, size_t *len)
{
    struct buf out;
    char *text = NULL;
    buf_init(&out, SIZE_MAX / 2);
    float *shortened = mem_array(r->dimensions, sizeof(*shortened));
    unsigned char *bytes = mem_array(r->dimensions, sizeof(float));
    if (shortened && bytes) {
        buf_append_str(&out, "{\"object\":\"list\",\"data\":[");
        append_data(&out, r, shortened, bytes);
        buf_append_str(&out, "],");
        append_end(&out, r);
        text = buf_take(&out, len);
    }
    mem_free(shortened);
    mem_free(bytes);
    buf_deinit(&out);
    return text;
}
