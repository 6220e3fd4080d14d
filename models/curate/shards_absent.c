#include "models/curate/shards.h"

#include "runtime/base/mem.h"

void shards_deinit(struct shards *s)
{
    mem_free(s->items);
    *s = (struct shards){0};
}

bool shards_are_built(void)
{
    return false;
}

int shards_write(struct shards *s, const char *vocab, const struct output *o, const char *name,
                 size_t shard_tokens, bool learn_answers, struct err *e)
{
    (void)s;
    (void)vocab;
    (void)o;
    (void)name;
    (void)shard_tokens;
    (void)learn_answers;
    return err_set(e, ERR_UNSUPPORTED,
                   "token files need the trainer, which this build left out (no OpenBLAS)");
}
