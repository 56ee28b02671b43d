// Large outputs come from here: huge pages where the system has them, and memory that was let go is handed out again.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ATen/EmptyTensor.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace neurodsl {

constexpr size_t HUGE_PAGE = size_t(2) << 20;
constexpr size_t POOLED_FROM = size_t(1) << 20;  // smaller tensors are PyTorch's own

struct Block {
    void* address;
    size_t size;
};

// Never destroyed: tensors may outlive everything else at the end of a process.
class Pool {
  public:
    static Pool& get() {
        static Pool* pool = new Pool();
        return *pool;
    }

    Block* take(size_t bytes) {
        const size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            auto found = free_.lower_bound(size);
            if (found != free_.end() && found->first <= size + size / 4) {
                Block* block = found->second.back();
                found->second.pop_back();
                if (found->second.empty()) free_.erase(found);
                cached_ -= block->size;
                return block;
            }
        }
        return fresh(size);
    }

    void give_back(Block* block) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            if (cached_ + block->size <= limit_) {
                free_[block->size].push_back(block);
                cached_ += block->size;
                return;
            }
        }
        release(block);
    }

    size_t empty() {
        std::map<size_t, std::vector<Block*>> gone;
        size_t bytes;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            gone.swap(free_);
            bytes = cached_;
            cached_ = 0;
        }
        for (auto& [size, blocks] : gone)
            for (Block* block : blocks) release(block);
        return bytes;
    }

    void set_limit(size_t bytes) {
        bool over;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            limit_ = bytes;
            over = cached_ > limit_;
        }
        if (over) empty();
    }

    size_t limit() {
        std::lock_guard<std::mutex> lock(mutex_);
        return limit_;
    }

    size_t cached() {
        std::lock_guard<std::mutex> lock(mutex_);
        return cached_;
    }

  private:
    Pool() { pthread_atfork(before_fork, after_fork, after_fork); }

    static void before_fork() { get().mutex_.lock(); }
    static void after_fork() { get().mutex_.unlock(); }

    static Block* fresh(size_t size) {
        const size_t asked = size + HUGE_PAGE;
        void* got = mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        TORCH_CHECK_WITH(OutOfMemoryError, got != MAP_FAILED, "neurodsl: no memory for ", size, " bytes");
        const uintptr_t start = reinterpret_cast<uintptr_t>(got);
        const uintptr_t begin = (start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        if (begin > start) munmap(got, begin - start);
        const uintptr_t end = start + asked, last = begin + size;
        if (end > last) munmap(reinterpret_cast<void*>(last), end - last);
#ifdef MADV_HUGEPAGE
        madvise(reinterpret_cast<void*>(begin), size, MADV_HUGEPAGE);
#endif
        return new Block{reinterpret_cast<void*>(begin), size};
    }

    static void release(Block* block) {
        munmap(block->address, block->size);
        delete block;
    }

    std::mutex mutex_;
    std::map<size_t, std::vector<Block*>> free_;
    size_t cached_ = 0, limit_ = 0;
};

struct PoolAllocator final : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        if (bytes < POOLED_FROM) return c10::GetCPUAllocator()->allocate(bytes);
        Block* block = Pool::get().take(bytes);
        return {block->address, block, &done, c10::Device(c10::DeviceType::CPU)};
    }

    void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

    static void done(void* block) { Pool::get().give_back(static_cast<Block*>(block)); }
};

inline at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type) {
    static PoolAllocator* allocator = new PoolAllocator();
    size_t bytes = c10::elementSize(type);
    for (int64_t size : sizes) bytes *= size_t(size);
    if (bytes < POOLED_FROM || Pool::get().limit() == 0) return at::detail::empty_cpu(sizes, type);
    constexpr c10::DispatchKeySet keys(c10::DispatchKey::CPU);
    return at::detail::empty_generic(sizes, allocator, keys, type, std::nullopt);
}

}  // namespace neurodsl
