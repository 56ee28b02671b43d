// The parts of CUDA C++ that generated kernels use, for a host compiler: a .cu text compiled with this header in
// front of it runs on the CPU, block by block, the threads of a block interleaved at every barrier and shuffle.
#pragma once

#include <cmath>
#include <math.h>  // the overloads for float without `std::`
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string.h>  // memcpy without `std::`

#include "block_scheduler.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static

#define threadIdx (cuda_shim::scheduler().running().thread_index)
#define blockIdx (cuda_shim::scheduler().block_index)
#define blockDim (cuda_shim::scheduler().block_size)
#define gridDim (cuda_shim::scheduler().grid_size)

static inline void __syncthreads() { cuda_shim::scheduler().wait_for_block(); }

static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    cuda_shim::scheduler().exchange(mask, 0, cuda_shim::scheduler().running().lane());
}

template <typename Value>
static inline Value __shfl_down_sync(unsigned mask, Value value, unsigned distance) {
    const unsigned lane = cuda_shim::scheduler().running().lane();
    return cuda_shim::shuffle(mask, value, lane + distance < 32 ? lane + distance : lane);
}

template <typename Value>
static inline Value __shfl_xor_sync(unsigned mask, Value value, unsigned bits) {
    return cuda_shim::shuffle(mask, value, cuda_shim::scheduler().running().lane() ^ bits);
}

template <typename Value>
static inline Value __shfl_sync(unsigned mask, Value value, unsigned source) {
    return cuda_shim::shuffle(mask, value, source % 32);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1) votes |= unsigned(cuda_shim::shuffle(mask, predicate != 0, lane)) << lane;
    return votes;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

template <typename Value>
static inline Value atomicAdd(Value* address, Value value) {
    const Value old = *address;
    *address = old + value;
    return old;
}

template <typename To, typename From>
static inline To cuda_shim_bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To made;
    std::memcpy(&made, &value, sizeof made);
    return made;
}
static inline float __uint_as_float(unsigned bits) { return cuda_shim_bits<float>(bits); }
static inline float __int_as_float(int bits) { return cuda_shim_bits<float>(bits); }
static inline unsigned __float_as_uint(float value) { return cuda_shim_bits<unsigned>(value); }
static inline int __float_as_int(float value) { return cuda_shim_bits<int>(value); }
static inline double __longlong_as_double(long long bits) { return cuda_shim_bits<double>(bits); }
static inline long long __double_as_longlong(double value) { return cuda_shim_bits<long long>(value); }
static inline double __hiloint2double(int high, int low) {
    return cuda_shim_bits<double>(static_cast<unsigned long long>(static_cast<unsigned>(high)) << 32 |
                                  static_cast<unsigned>(low));
}
static inline int __double2hiint(double value) {
    return static_cast<int>(cuda_shim_bits<unsigned long long>(value) >> 32);
}
static inline int __double2loint(double value) { return static_cast<int>(cuda_shim_bits<unsigned long long>(value)); }

static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline float __fsqrt_rn(float a) { return std::sqrt(a); }
static inline double __dsqrt_rn(double a) { return std::sqrt(a); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

// Defines `shim_launch_<kernel>`, with the arguments of cuLaunchKernel that matter here. Returns null, or what went
// wrong. `order` is the order in which the threads of a block take their turns: 0 upwards, 1 downwards, else shuffled.
#define CUDA_SHIM_KERNEL(kernel)                                                                             \
    extern "C" const char* shim_launch_##kernel(unsigned grid, unsigned block, unsigned order, void** arguments) { \
        return cuda_shim::launch(kernel, grid, block, order, arguments);                                     \
    }
