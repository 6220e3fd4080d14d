/* arithmetic.h: sums, differences and products of small numbers.
 *
 * About 8 in 100 pairs of numbers are held out of additions and subtractions, in either order.
 * The products up to 10 * 10 are too few to hold any out: only their wordings are. */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

exchange_fn exchange_addition;
exchange_fn exchange_subtraction;
exchange_fn exchange_multiplication;

enum corpus_split arithmetic_split(unsigned a, unsigned b);
