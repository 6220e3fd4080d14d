/* words_tasks.h: the tasks that exchange_words draws from, by the file that holds them. */
#pragma once

#include "models/weir-tiny/corpus/words.h"

/* words_lists.c: text and lists to be copied, ordered or continued. */
exchange_fn task_repeat;
exchange_fn task_twice;
exchange_fn task_pick_word;
exchange_fn task_join;
exchange_fn task_reverse;
exchange_fn task_sort;
exchange_fn task_longer;
exchange_fn task_count;
exchange_fn task_next;
exchange_fn task_continue;

/* words_reading.c: a question about what the user has just said. */
exchange_fn task_reading;

/* Fills *out from a list of questions, a list of answers and a terse answer, all with the same
 * slots. */
void task_fill(struct rng *r, enum corpus_split split, struct exchange *out, const char *skill,
               const char *questions, const char *answers, const char *terse,
               const struct slot *slots, size_t n_slots);

/* The common case of literal slots, inside a function with the parameters of an exchange_fn. */
#define TASK_FILL(skill, questions, answers, terse, ...)       \
    task_fill(r, split, out, skill, questions, answers, terse, \
              (const struct slot[]){__VA_ARGS__},              \
              CORPUS_COUNT(((const struct slot[]){__VA_ARGS__})))
