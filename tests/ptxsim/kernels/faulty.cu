// Kernels that are wrong on purpose: the simulator has to catch each of them.
#include <stdint.h>

extern "C" __global__ void bad_tail(const float* x, float* y, int N) {          // no i < N guard
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = 2.f * x[i];
}
extern "C" __global__ void bad_align(const float* x, float* y, int N) {         // float4 on an odd row
    int i = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (i + 4 <= N) *(float4*)(y + N + i) = *(const float4*)(x + N + i);
}
extern "C" __global__ void bad_uninit(float* y, float* scratch, int N) {        // reads what none wrote
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) y[i] = scratch[i] + 1.f;
}
extern "C" __global__ void bad_race(const float* x, float* y, int N) {          // missing __syncthreads
    __shared__ float buf[256];
    int i = threadIdx.x;
    buf[i] = x[i];
    y[i] = buf[blockDim.x - 1 - i];
}
extern "C" __global__ void good_sync(const float* x, float* y, int N) {
    __shared__ float buf[256];
    int i = threadIdx.x;
    buf[i] = x[i];
    __syncthreads();
    y[i] = buf[blockDim.x - 1 - i];
}
extern "C" __global__ void bad_grace(float* acc, int N) {                       // lost update across blocks
    if (threadIdx.x == 0) acc[0] += 1.f;
}
extern "C" __global__ void bad_barrier(const float* x, float* y, int N) {       // barrier in a divergent branch
    __shared__ float buf[64];
    int i = threadIdx.x;
    if (i < 40) { buf[i] = x[i]; __syncthreads(); y[i] = buf[39 - i]; }
}
extern "C" __global__ void bad_shfl(const float* x, float* y, int N) {          // reads a lane that left
    int i = threadIdx.x;
    if (i < N) y[i] = __shfl_down_sync(0xffffffffu, x[i], 1);
}
extern "C" __global__ void bad_mem(const float* x, float* y, int N) {           // shared buffer overrun
    __shared__ float buf[32];
    int i = threadIdx.x;
    buf[i + 1] = x[i];
    __syncthreads();
    y[i] = buf[i];
}
extern "C" __global__ void slow_layout(const float* __restrict__ x, float* __restrict__ s, int T, int N, float rtau) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;                               // [N, T]: right but uncoalesced
    if (i >= N) return;
    float v = 0.f;
    for (int t = 0; t < T; ++t) {
        v += (x[(size_t)i * T + t] - v) * rtau;
        s[(size_t)i * T + t] = v >= 1.f ? 1.f : 0.f;
        if (v >= 1.f) v = 0.f;
    }
}
extern "C" __global__ void bad_shared_reader(const float* x, float* y, int N) { // all read, one writes, no barrier
    __shared__ float buf[1];
    int i = threadIdx.x;
    if (i == 0) buf[0] = x[0];
    __syncthreads();
    y[i] = *(volatile float*)buf;
    if (i == 63) buf[0] = 2.f;
    __syncthreads();
    y[i] += buf[0];
}
extern "C" __global__ void bad_two_writers(const float* x, float* y, int N) {   // two threads write one element
    y[threadIdx.x / 2] = x[threadIdx.x];
}
extern "C" __global__ void good_warp_sync(const float* x, float* y, int N) {
    __shared__ volatile float buf[2];
    int i = threadIdx.x, warp = i >> 5;
    if ((i & 31) == 0) buf[warp] = x[i];
    __syncwarp();
    float mine = buf[warp];
    __syncwarp();
    if ((i & 31) == 5) buf[warp] = 7.f;
    y[i] = mine;
}
extern "C" __global__ void bad_reread(float* x, float* y, int writer) {
    volatile float* shared_by_all = x;
    float a = shared_by_all[0];
    __syncthreads();
    if (threadIdx.x == 0) {
        a += shared_by_all[0];
        if (blockIdx.x == writer) shared_by_all[0] = a;
        y[blockIdx.x] = a;
    }
}
extern "C" __global__ void good_rewrite(const float* x, float* y, int N) {
    volatile float* out = y;
    int i = threadIdx.x;
    float a = x[i];
    if (i < 32) out[i + 16] = -1.f;
    __syncthreads();
    if (i < 24) a += out[i + 20] + 1.f;
    __syncthreads();
    out[i] = a;
}
