// The functions of CUDA's mathematics library that neurons may call, as kernels: y[k * N + i] is the k-th of x[i].
#include <math.h>

template <typename real>
__device__ void functions(const real* x, real* y, int N) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N) return;
    const real a = x[i], p = fabs(a);
    const real all[] = {exp(a), expm1(a), log(p), log1p(p), log2(p), exp2(a), pow(p, (real)1.7), pow(a, (real)3),
                        sin(a), cos(a), tan(a), tanh(a), atan(a), erf(a), sqrt(p), rsqrt(p + 1), (real)1 / (a + 100),
                        floor(a), round(a), fmod(a, (real)0.7), sinh(a), cosh(a), asin(a / (p + 1)), atan2(a, (real)2),
                        hypot(a, (real)2), cbrt(a), fmin(a, (real)1), fmax(a, (real)-1)};
#pragma unroll
    for (int k = 0; k < sizeof(all) / sizeof(real); ++k) y[(long long)k * N + i] = all[k];
}

extern "C" __global__ void functions_f32(const float* x, float* y, int N) { functions<float>(x, y, N); }
extern "C" __global__ void functions_f64(const double* x, double* y, int N) { functions<double>(x, y, N); }
