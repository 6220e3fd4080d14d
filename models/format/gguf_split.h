/* gguf_split.h: a model in several GGUF files, NAME-00001-of-00003.gguf and so on. Private to
 * gguf.c.
 *
 * Each file says in its metadata which one it is (split.no, from 0), how many there are
 * (split.count) and how many tensors all have (split.tensors.count). The first has the metadata
 * of the model; all have tensors.
 *
 * Source: llama.cpp's gguf-split, which is what the format's documentation is. */
#pragma once

#include "models/format/gguf_parse.h"

/* How many files the model has, as its metadata says; 1 when it says nothing. 0 and a message
 * when that is no sensible number. */
uint32_t gguf_split_count(const struct gguf *g, struct err *e);

/* The path of file `no` (from 0) of `count`, given that of the first: a new string (mem_free).
 * NULL and a message when the path is not that of a first one. */
char *gguf_split_path(const char *first, uint32_t no, uint32_t count, struct err *e);

/* Adds the tensors of g->parts, which are open, to those of g. */
int gguf_split_merge(struct gguf *g, struct err *e);
