/* about_weir.c: what Weir, a language model and a server are, and what the shipped model can
 * do. */
#include "models/weir-tiny/corpus/corpus.h"

#include "models/weir-tiny/corpus/wording.h"

static const struct wording_row weir_rows[] = {
#include "models/weir-tiny/corpus/about_weir.inc"
};

void exchange_about_weir(struct rng *r, enum corpus_split split, struct exchange *out)
{
    wording_exchange(&CORPUS_PICK(r, weir_rows), r, split, "weir", out);
}
