// Runs the threads of one block at a time as fibers, switching only where CUDA threads may wait for each other.
//
// A barrier that not all threads reach, a shuffle from a lane that takes no part and a deadlock are faults, reported
// as text; the block is given up. Another order of the threads must give the same result: a missing barrier does not.
#pragma once

#include <ucontext.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace cuda_shim {

struct Size { unsigned x = 1, y = 1, z = 1; };
struct Index { unsigned x = 0, y = 0, z = 0; };

enum class State { ready, at_block_barrier, at_exchange, finished };

struct Fiber {
    static constexpr std::size_t stack_bytes = 64 * 1024;
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    Index thread_index;
    State state = State::ready;
    unsigned mask = 0, source = 0;        // of the exchange that it waits for
    unsigned long long given = 0, taken = 0;

    unsigned lane() const { return thread_index.x % 32; }
};

class Scheduler {
  public:
    Index block_index;
    Size block_size, grid_size;

    Fiber& running() { return *fibers_[current_]; }

    void wait_for_block() { wait(State::at_block_barrier); }

    // Every lane of `mask` gives a value and takes that of lane `source`.
    unsigned long long exchange(unsigned mask, unsigned long long given, unsigned source) {
        running().mask = mask;
        running().given = given;
        running().source = source;
        wait(State::at_exchange);
        return running().taken;
    }

    template <typename Body>
    const char* run_block(const Body& body, const std::vector<unsigned>& order) {
        body_ = [](const void* what) { (*static_cast<const Body*>(what))(); };
        body_argument_ = &body;
        start(order.size());
        while (!all_finished(order.size())) {
            for (unsigned thread : order)
                if (fibers_[thread]->state == State::ready) resume(thread);
            if (const char* fault = release(order.size())) return fault;
        }
        return nullptr;
    }

  private:
    std::vector<std::unique_ptr<Fiber>> fibers_;
    unsigned current_ = 0;
    ucontext_t home_;
    void (*body_)(const void*) = nullptr;
    const void* body_argument_ = nullptr;

    static void enter();

    void wait(State state) {
        Fiber& self = running();
        self.state = state;
        swapcontext(&self.context, &home_);
    }

    void resume(unsigned thread) {
        current_ = thread;
        swapcontext(&home_, &fibers_[thread]->context);
    }

    void start(std::size_t threads) {
        while (fibers_.size() < threads) fibers_.push_back(std::make_unique<Fiber>());
        for (unsigned thread = 0; thread < threads; ++thread) {
            Fiber& fiber = *fibers_[thread];
            fiber.thread_index = {thread, 0, 0};
            fiber.state = State::ready;
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.get();
            fiber.context.uc_stack.ss_size = Fiber::stack_bytes;
            fiber.context.uc_link = &home_;
            makecontext(&fiber.context, enter, 0);
        }
    }

    std::size_t count(State state, std::size_t threads) const {
        std::size_t found = 0;
        for (std::size_t thread = 0; thread < threads; ++thread) found += fibers_[thread]->state == state;
        return found;
    }

    bool all_finished(std::size_t threads) const { return count(State::finished, threads) == threads; }

    // Wakes those whose wait is over.
    const char* release(std::size_t threads) {
        const std::size_t waiting = count(State::at_block_barrier, threads);
        if (waiting == threads) {
            for (std::size_t thread = 0; thread < threads; ++thread) fibers_[thread]->state = State::ready;
            return nullptr;
        }
        bool woken = all_finished(threads);
        for (std::size_t first = 0; first < threads; first += 32) {
            bool complete = false;
            if (const char* fault = release_warp(first, threads, complete)) return fault;
            woken |= complete;
        }
        if (woken) return nullptr;
        return waiting ? "a barrier that not all threads of the block reach" : "a deadlock";
    }

    const char* release_warp(std::size_t first, std::size_t threads, bool& complete) {
        unsigned present = 0, mask = 0;
        for (std::size_t lane = 0; lane < 32 && first + lane < threads; ++lane) {
            const Fiber& fiber = *fibers_[first + lane];
            if (fiber.state != State::at_exchange) continue;
            if (present && fiber.mask != mask) return "lanes of one warp that shuffle under different masks";
            present |= 1u << lane;
            mask = fiber.mask;
        }
        if (!present) return nullptr;
        if (present & ~mask) return "a shuffle by a lane that its mask leaves out";
        if (present != mask) return nullptr;
        for (std::size_t lane = 0; lane < 32; ++lane) {
            if (!(mask >> lane & 1)) continue;
            Fiber& fiber = *fibers_[first + lane];
            if (!(mask >> fiber.source & 1)) return "a shuffle from a lane that takes no part";
            fiber.taken = fibers_[first + fiber.source]->given;
            fiber.state = State::ready;
        }
        complete = true;
        return nullptr;
    }

    friend Scheduler& scheduler();
};

inline Scheduler& scheduler() {
    static Scheduler the_only;
    return the_only;
}

inline void Scheduler::enter() {
    Scheduler& self = scheduler();
    self.body_(self.body_argument_);
    self.running().state = State::finished;
}

template <typename Value>
Value shuffle(unsigned mask, Value value, unsigned source) {
    static_assert(sizeof(Value) <= sizeof(unsigned long long), "shuffled values have at most 8 bytes");
    unsigned long long bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = scheduler().exchange(mask, bits, source);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline std::vector<unsigned> turns(unsigned threads, unsigned order) {
    std::vector<unsigned> result(threads);
    std::iota(result.begin(), result.end(), 0u);
    if (order == 1) return {result.rbegin(), result.rend()};
    if (order > 1) {
        std::mt19937 random(order);
        for (unsigned left = threads; left > 1; --left) std::swap(result[left - 1], result[random() % left]);
    }
    return result;
}

template <typename... Arguments, std::size_t... Positions>
void call(void (*kernel)(Arguments...), void** arguments, std::index_sequence<Positions...>) {
    kernel(*static_cast<Arguments*>(arguments[Positions])...);
}

template <typename... Arguments>
const char* launch(void (*kernel)(Arguments...), unsigned grid, unsigned block, unsigned order, void** arguments) {
    Scheduler& self = scheduler();
    self.grid_size = {grid, 1, 1};
    self.block_size = {block, 1, 1};
    const auto body = [=] { call(kernel, arguments, std::index_sequence_for<Arguments...>{}); };
    const std::vector<unsigned> order_of_turns = turns(block, order);
    for (unsigned index = 0; index < grid; ++index) {
        self.block_index = {index, 0, 0};
        if (const char* fault = self.run_block(body, order_of_turns)) return fault;
    }
    return nullptr;
}

}  // namespace cuda_shim
