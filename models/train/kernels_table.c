#include "models/train/kernels.h"

extern const struct train_kernels train_kernels_baseline;
#ifdef TRAIN_KERNELS_X86
extern const struct train_kernels train_kernels_v3;
extern const struct train_kernels train_kernels_v4;

/* The levels of the x86-64 psABI; what they have beside these comes with them on every
 * processor. */
static size_t level_count(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2")) {
        return 1;
    }
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl")) {
        return 2;
    }
    return 3;
}

const struct train_kernels *train_kernels_at(size_t index)
{
    static const struct train_kernels *const levels[] = {&train_kernels_baseline,
                                                         &train_kernels_v3, &train_kernels_v4};
    return index < level_count() ? levels[index] : NULL;
}

const struct train_kernels *train_kernels_get(void)
{
    return train_kernels_at(level_count() - 1);
}
#else
const struct train_kernels *train_kernels_at(size_t index)
{
    return index == 0 ? &train_kernels_baseline : NULL;
}

const struct train_kernels *train_kernels_get(void)
{
    return &train_kernels_baseline;
}
#endif
