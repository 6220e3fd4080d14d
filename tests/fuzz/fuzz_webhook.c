/* A webhook's answer to a piece of text: whatever it says, verdicts lie in the piece, between
 * characters and in order. Input: the piece, a zero byte, the answer. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "filters/webhook_answer.h"
#include "runtime/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *piece = (const char *)data;
    const uint8_t *zero = memchr(data, 0, size);
    size_t piece_len = zero ? (size_t)(zero - data) : size;
    const char *answer = zero ? (const char *)zero + 1 : "";
    size_t answer_len = zero ? size - piece_len - 1 : 0;
    const char *problem = NULL;
    struct webhook_answer a;
    if (!utf8_is_valid(piece, piece_len)) {
        return 0;
    }
    if (webhook_answer_read(&a, answer, answer_len, piece, piece_len, &problem) == 0) {
        size_t last = 0;
        for (size_t i = 0; i < a.count; i++) {
            const struct webhook_verdict *v = &a.verdicts[i];
            if (v->from < last || v->to < v->from || v->to > piece_len ||
                !utf8_is_valid(piece + v->from, v->to - v->from) ||
                (v->kind == WEBHOOK_REPLACE && !utf8_is_valid(v->text, strlen(v->text))) ||
                (v->kind == WEBHOOK_STOP && i + 1 < a.count)) {
                abort();
            }
            last = v->to;
        }
    } else if (!problem) {
        abort();
    }
    webhook_answer_deinit(&a);
    return 0;
}
