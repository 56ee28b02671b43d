// What is the same in all calls of two kernels, and what one call adds to it. Kernels are known by address and by a
// list that says what each argument is; nothing here depends on a neuron.
#pragma once

#include <ATen/core/Tensor.h>
#include <Python.h>
#include <c10/util/SmallVector.h>

#include <cstdint>
#include <string>
#include <vector>

namespace neurodsl {

using at::Tensor;

union Slot {
    const void* address;
    double number;
    int64_t count;
};

enum Kind { NOTHING, TENSOR, REAL, WHOLE, COUNT };

struct Entry {
    int kind, place;
};

struct Kernel {
    int (*function)(const Slot*);
    std::vector<Entry> entries;
};

// What the forward pass keeps: every time step, or the states at each `every`-th where there are more steps than `above`.
struct Kept {
    int64_t every, above;
    bool half;  // in bfloat16

    int64_t rows(int64_t steps) const {
        if (every == 1) return steps;
        return steps > above ? (steps + every - 1) / every - 1 : 0;
    }
};

struct Plan {
    Kernel forward, train, backward;
    int inputs, states, scalars, outputs, recorded;
    std::vector<Kept> saved;
    std::vector<bool> optional;  // of the states: may be left out
    std::vector<bool> kept;      // of the given tensors: backward reads them
    std::string name;
    PyObject *stale, *message;

    int given() const { return inputs + states + scalars; }
    int results() const { return outputs + states + recorded; }
};

struct Call {
    c10::SmallVector<double, 12> numbers;
    int64_t counts[6];  // time steps, neurons, steps before, seed, channels, neurons a channel
    c10::SmallVector<int64_t, 6> shape;
    at::ScalarType type;

    at::IntArrayRef sequence() const { return shape; }
    at::IntArrayRef step() const { return at::IntArrayRef(shape).slice(1); }
};

static inline void launch(const Kernel& kernel, const Call& call, const Tensor* tensors) {
    c10::SmallVector<Slot, 48> slots(kernel.entries.size());
    for (size_t i = 0; i < slots.size(); ++i) {
        const auto [kind, place] = kernel.entries[i];
        slots[i].count = 0;
        if (kind == TENSOR) slots[i].address = tensors[place].defined() ? tensors[place].const_data_ptr() : nullptr;
        if (kind == REAL) slots[i].number = call.numbers[place];
        if (kind == WHOLE) slots[i].count = int64_t(call.numbers[place]);
        if (kind == COUNT) slots[i].count = call.counts[place];
    }
    TORCH_CHECK_WITH(OutOfMemoryError, kernel.function(slots.data()) == 0, "neurodsl: no memory for a kernel's scratch");
}

}  // namespace neurodsl
