#include "quant/q8_kernel.h"

#include "quant/kernels/kernels.h"

const struct q8_kernel *const q8_kernels[] = {
#if defined(__x86_64__)
    &q8_kernel_amx,      &q8_kernel_avx512_vnni,
    &q8_kernel_avx_vnni, &q8_kernel_avx2,
#elif defined(__aarch64__)
    &q8_kernel_neon_i8mm, &q8_kernel_neon_dotprod,
#endif
    &q8_kernel_ref,      NULL,
};

const struct q8_kernel *q8_kernel_select(uint32_t features)
{
    const struct q8_kernel *const *k = q8_kernels;
    while (((*k)->needs & ~features) != 0) {
        k++;
    }
    return *k;
}
