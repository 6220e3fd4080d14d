#include "models/train/blas.h"

#include <cblas.h>
#include <stddef.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define PEAK_SIZE  1536
#define PEAK_TRIES 8

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
