/* random_blocks.h: seeded rows in each block format, with scales of a sensible size.
 *
 * Shared by the unit test and by the comparison with another program (tests/parity). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RANDOM_BLOCKS_NUMBERS 2048 /* a whole number of blocks of every type */
#define RANDOM_BLOCKS_BYTES   (RANDOM_BLOCKS_NUMBERS * 4)

/* Every block type that can be read; 0 ends it. */
extern const uint32_t random_block_types[];

/* Fills row[RANDOM_BLOCKS_BYTES] with RANDOM_BLOCKS_NUMBERS numbers of the type. */
void random_blocks_fill(uint32_t type, uint64_t seed, unsigned char *row);
