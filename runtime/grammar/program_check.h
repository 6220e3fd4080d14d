/* program_check.h: the second half of program_compile (program.h): takes away what can not be
 * completed, refuses left recursion. */
#pragma once

#include "runtime/grammar/program.h"

int program_check(struct program *p, const struct syntax *s, const struct budget *budget,
                  struct err *e);
