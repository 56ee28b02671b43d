// Tensors of zeros and ones as bits, and back. Element i is bit i % 8 of byte i / 8.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/EmptyTensor.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <atomic>
#include <cstdint>
#include <cstring>

namespace neurodsl {

constexpr int64_t WORD = 64;

// 64 elements to 64 bits; false if one of them is neither zero nor one.
template <typename pattern> static inline bool pack_word(const pattern* from, pattern one, uint64_t& word) {
    uint64_t bits = 0;
    pattern other = 0;
    for (int i = 0; i < WORD; ++i) {
        bits |= uint64_t(from[i] == one) << i;
        other |= pattern(from[i] != one) * from[i];
    }
    word = bits;
    return other == 0;
}

template <typename pattern> static inline void unpack_word(uint64_t word, pattern one, pattern* to) {
    for (int i = 0; i < WORD; ++i) to[i] = pattern(pattern(0) - pattern(word >> i & 1)) & one;
}

#if defined(__AVX512F__) && defined(__AVX512BW__)
// The same, a register of 512 bits at a time: `bits` is the width of an element, `places` how many a register holds.
#define NEURODSL_WORD(bits, places)                                                                              \
    template <> inline bool pack_word<uint##bits##_t>(const uint##bits##_t* from, uint##bits##_t one, uint64_t& word) { \
        const __m512i ones = _mm512_set1_epi##bits(one);                                                         \
        uint64_t found = 0, zeros = 0;                                                                           \
        for (int i = 0; i < WORD / places; ++i) {                                                                \
            const __m512i part = _mm512_loadu_si512(from + places * i);                                          \
            found |= uint64_t(_mm512_cmpeq_epi##bits##_mask(part, ones)) << (places * i);                        \
            zeros |= uint64_t(_mm512_testn_epi##bits##_mask(part, part)) << (places * i);                        \
        }                                                                                                        \
        word = found;                                                                                            \
        return (found | zeros) == ~uint64_t(0);                                                                  \
    }                                                                                                            \
    template <> inline void unpack_word<uint##bits##_t>(uint64_t word, uint##bits##_t one, uint##bits##_t* to) { \
        for (int i = 0; i < WORD / places; ++i)                                                                  \
            _mm512_storeu_si512(                                                                                 \
                to + places * i, _mm512_maskz_set1_epi##bits(__mmask##places(word >> (places * i)), one));       \
    }
NEURODSL_WORD(8, 64)
NEURODSL_WORD(16, 32)
NEURODSL_WORD(32, 16)
NEURODSL_WORD(64, 8)
#undef NEURODSL_WORD
#endif

template <typename pattern> static bool pack(const pattern* from, int64_t count, pattern one, uint8_t* to) {
    std::atomic<bool> binary{true};
    const int64_t words = (count + WORD - 1) / WORD;
    at::parallel_for(0, words, 1024, [&](int64_t begin, int64_t end) {
        for (int64_t w = begin; w < end && binary.load(std::memory_order_relaxed); ++w) {
            uint64_t word;
            bool good;
            const int64_t left = count - w * WORD;
            if (left >= WORD) {
                good = pack_word(from + w * WORD, one, word);
            } else {
                pattern last[WORD] = {};
                std::memcpy(last, from + w * WORD, size_t(left) * sizeof(pattern));
                good = pack_word(last, one, word);
            }
            if (!good) binary.store(false, std::memory_order_relaxed);
            std::memcpy(to + w * 8, &word, size_t(std::min<int64_t>(8, (count + 7) / 8 - w * 8)));
        }
    });
    return binary.load();
}

// `count` elements from the one at `first` on.
template <typename pattern> static void unpack(const uint8_t* from, int64_t first, int64_t count, pattern one, pattern* to) {
    const int64_t words = (count + WORD - 1) / WORD, last_byte = (first + count + 7) / 8;
    at::parallel_for(0, words, 1024, [&](int64_t begin, int64_t end) {
        for (int64_t w = begin; w < end; ++w) {
            const int64_t bit = first + w * WORD, byte = bit / 8, shift = bit % 8;
            uint64_t word = 0, next = 0;
            std::memcpy(&word, from + byte, size_t(std::min<int64_t>(8, last_byte - byte)));
            if (shift && byte + 8 < last_byte) next = from[byte + 8];
            if (shift) word = word >> shift | next << (WORD - shift);
            const int64_t left = count - w * WORD;
            if (left >= WORD) {
                unpack_word(word, one, to + w * WORD);
            } else {
                pattern part[WORD];
                unpack_word(word, one, part);
                std::memcpy(to + w * WORD, part, size_t(left) * sizeof(pattern));
            }
        }
    });
}

// The pattern of 1 in a type of this many bytes; bfloat16 and half differ.
static inline uint64_t one_of(at::ScalarType type) {
    switch (type) {
        case at::kFloat: return 0x3f800000u;
        case at::kDouble: return 0x3ff0000000000000ull;
        case at::kHalf: return 0x3c00u;
        case at::kBFloat16: return 0x3f80u;
        case at::kByte: return 1u;
        default: return 0;
    }
}

static inline bool pack_tensor(const at::Tensor& tensor, uint8_t* to) {
    const uint64_t one = one_of(tensor.scalar_type());
    const int64_t count = tensor.numel();
    const void* from = tensor.const_data_ptr();
    switch (tensor.element_size()) {
        case 1: return pack(static_cast<const uint8_t*>(from), count, uint8_t(one), to);
        case 2: return pack(static_cast<const uint16_t*>(from), count, uint16_t(one), to);
        case 4: return pack(static_cast<const uint32_t*>(from), count, uint32_t(one), to);
        default: return pack(static_cast<const uint64_t*>(from), count, one, to);
    }
}

static inline void unpack_tensor(const uint8_t* from, int64_t first, const at::Tensor& made) {
    const uint64_t one = one_of(made.scalar_type());
    const int64_t count = made.numel();
    void* to = made.mutable_data_ptr();
    switch (made.element_size()) {
        case 1: return unpack(from, first, count, uint8_t(one), static_cast<uint8_t*>(to));
        case 2: return unpack(from, first, count, uint16_t(one), static_cast<uint16_t*>(to));
        case 4: return unpack(from, first, count, uint32_t(one), static_cast<uint32_t*>(to));
        default: return unpack(from, first, count, one, static_cast<uint64_t*>(to));
    }
}

}  // namespace neurodsl
