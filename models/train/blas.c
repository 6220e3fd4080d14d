#include "models/train/blas.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define PEAK_SIZE  2048
#define PEAK_TRIES 6

#ifdef TRAIN_KERNELS_X86
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd");
}

void train_blas_restart_with_best(char **argv)
{
    static const char variable[] = "OPENBLAS_CORETYPE";
    static const char *const narrow[] = {"Prescott",   "Core2",   "Penryn",
                                         "Dunnington", "Nehalem", "Sandybridge",
                                         "Haswell",    "Zen",     "Excavator"};
    bool is_narrow = false;
    for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
        is_narrow |= strcmp(train_blas_kernels(), narrow[i]) == 0;
    }
    if (!is_narrow || !has_avx512() || getenv(variable) ||
        setenv(variable, "SkylakeX", 1) != 0) {
        return;
    }
    execv("/proc/self/exe", argv);
    unsetenv(variable);
}
#else
void train_blas_restart_with_best(char **argv)
{
    (void)argv;
}
#endif

const char *train_blas_kernels(void)
{
    return openblas_get_corename();
}

double train_blas_peak(unsigned threads)
{
    size_t n = PEAK_SIZE;
    float *memory = mem_alloc_aligned(3 * n * n * sizeof(float));
    struct rng rng;
    double best = 0.0;
    if (!memory) {
        return 0.0;
    }
    rng_seed(&rng, 1);
    for (size_t i = 0; i < 3 * n * n; i++) {
        memory[i] = rng_uniform(&rng);
    }
    openblas_set_num_threads((int)threads);
    for (int i = 0; i < PEAK_TRIES; i++) {
        double begin = clock_now_s();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)n, 1.0f,
                    memory, (int)n, memory + n * n, (int)n, 0.0f, memory + 2 * n * n, (int)n);
        double rate = 2.0 * (double)(n * n * n) / (clock_now_s() - begin);
        best = rate > best ? rate : best;
    }
    openblas_set_num_threads(1);
    mem_free_aligned(memory);
    return best;
}
