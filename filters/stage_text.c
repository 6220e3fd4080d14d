#include "filters/stage_text.h"

#include "runtime/base/mem.h"

/* What is held of a text may be longer than what its view shows. */
#define MAX_HELD ((size_t)4 * FILTER_MAX_HOLD)
/* Bytes of a word that has no end. */
#define MAX_WORD ((size_t)64)

int stage_text_open(struct stage *stage)
{
    if (!stage->filter->is_normalised && !stage->filter->is_recording && !stage->is_json) {
        return 0;
    }
    stage->view = mem_zalloc(sizeof(*stage->view));
    if (!stage->view) {
        return -1;
    }
    view_init(stage->view, stage->filter->is_normalised, stage->is_json, CHAIN_MAX_FLOW,
              FILTER_MAX_HOLD);
    return 0;
}

const char *stage_text(const struct stage *stage)
{
    return stage->view ? view_text(stage->view) : flow_text(stage->in);
}

uint64_t stage_text_cursor(const struct stage *stage)
{
    return stage->view ? stage->view->start : stage->in->start;
}

uint64_t stage_text_end(const struct stage *stage)
{
    return stage->view ? view_end(stage->view) : flow_end(stage->in);
}

/* ---- reading ---- */

/* How much of `text` belongs to the word that has `len` bytes already, and whether that is its
 * end: a word ends behind a blank. */
static size_t word_rest(const char *text, size_t text_len, size_t len, bool *is_end)
{
    for (size_t n = 0; n < text_len; n++) {
        bool is_blank = n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\n');
        bool is_full = len + n >= MAX_WORD && ((unsigned char)text[n] & 0xC0u) != 0x80u;
        if (is_blank || is_full) {
            *is_end = true;
            return n;
        }
    }
    char last = text[text_len - 1];
    *is_end = last == ' ' || last == '\n';
    return text_len;
}

static int read_word(struct stage *stage, bool *more)
{
    struct flow *in = stage->in;
    if (flow_len(in) == 0) {
        return 0;
    }
    bool is_end;
    size_t len = word_rest(flow_text(in), flow_len(in), stage->word_len, &is_end);
    if (view_feed(stage->view, flow_text(in), len) != 0 ||
        flow_move(in, len, stage->out) != 0) {
        return -1;
    }
    stage->word_len = is_end ? 0 : stage->word_len + len;
    *more = is_end;
    return 0;
}

/* Bytes of the flow that the view has read. What a filter only records has gone on already. */
static size_t read_len(const struct stage *stage)
{
    return (size_t)(stage->view->read - stage->in->start);
}

/* Up to the first character with which more may be held than is allowed (it is not yet), so
 * that this comes out in the same place for every way of cutting. */
static int read_view(struct stage *stage, bool *more)
{
    const char *text = flow_text(stage->in);
    size_t from = read_len(stage);
    size_t to = flow_len(stage->in);
    if (to > MAX_HELD + 1) {
        to = MAX_HELD + 1;
        while (to < flow_len(stage->in) && ((unsigned char)text[to] & 0xC0u) == 0x80u) {
            to++;
        }
        *more = to < flow_len(stage->in);
    }
    return view_feed(stage->view, text + from, to - from);
}

int stage_text_read(struct stage *stage, bool *more)
{
    *more = false;
    if (stage->filter->is_recording) {
        return read_word(stage, more);
    }
    return stage->view ? read_view(stage, more) : 0;
}

int stage_text_end_reading(struct stage *stage)
{
    return stage->view ? view_finish(stage->view) : 0;
}

/* ---- deciding ---- */

/* The flow up to an offset of the text passes or is skipped, if it is there yet. */
static int pass_to(struct stage *stage, uint64_t text_offset)
{
    return text_offset > stage->in->start
               ? flow_move(stage->in, (size_t)(text_offset - stage->in->start), stage->out)
               : 0;
}

static int skip_to(struct stage *stage, uint64_t text_offset)
{
    return text_offset > stage->in->start
               ? flow_skip(stage->in, (size_t)(text_offset - stage->in->start), stage->out)
               : 0;
}

/* What is not shown between what was decided and what will be goes the way of the former. */
static int decide_hidden(struct stage *stage)
{
    uint64_t begin = view_begin(stage->view, stage->decided);
    return stage->was_replaced ? skip_to(stage, begin) : pass_to(stage, begin);
}

int stage_text_pass(struct stage *stage, uint64_t upto)
{
    if (!stage->view) {
        return pass_to(stage, upto);
    }
    uint64_t decided = view_floor(stage->view, upto);
    view_drop(stage->view, upto);
    if (stage->filter->is_recording || decided <= stage->decided) {
        return 0;
    }
    if (decide_hidden(stage) != 0 || pass_to(stage, view_before(stage->view, decided)) != 0) {
        return -1;
    }
    stage->decided = decided;
    stage->was_replaced = false;
    return 0;
}

int stage_text_replace(struct stage *stage, uint64_t upto)
{
    if (!stage->view) {
        return skip_to(stage, upto);
    }
    uint64_t decided = view_ceil(stage->view, upto);
    view_drop(stage->view, upto);
    if (stage->filter->is_recording || decided <= stage->decided) {
        return 0;
    }
    if (decide_hidden(stage) != 0 || skip_to(stage, view_before(stage->view, decided)) != 0) {
        return -1;
    }
    stage->decided = decided;
    stage->was_replaced = true;
    return 0;
}

int stage_text_pass_all(struct stage *stage)
{
    return pass_to(stage, flow_end(stage->in));
}

int stage_text_pass_last(struct stage *stage)
{
    return stage->was_replaced ? skip_to(stage, flow_end(stage->in))
                               : stage_text_pass_all(stage);
}

void stage_text_locate(const struct stage *stage, uint64_t upto, uint64_t *from, uint64_t *to)
{
    const struct view *view = stage->view;
    if (!view) {
        return;
    }
    uint64_t first = upto > view->history ? upto - view->history : 0;
    uint64_t begin = *from > first ? *from : first;
    uint64_t end = *to > begin ? *to : begin;
    bool is_empty = begin == end;
    end = view_before(view, view_ceil(view, end));
    begin = view_floor(view, begin);
    *from = is_empty ? end : view_begin(view, begin);
    *to = end;
}

bool stage_text_is_too_long(const struct stage *stage)
{
    return stage->view && read_len(stage) > MAX_HELD;
}
