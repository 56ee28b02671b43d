// Outputs come from here: huge pages where the system has them, and memory that was let go is handed out again.
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
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace neurodsl {

constexpr size_t PAGE = size_t(4) << 10, HUGE_PAGE = size_t(2) << 20;
constexpr size_t POOLED_FROM = size_t(1) << 16;     // smaller tensors are PyTorch's own
constexpr size_t WHOLE_FROM = HUGE_PAGE / 2;        // larger ones are mapped by themselves
constexpr size_t MOST_PIECES = HUGE_PAGE / POOLED_FROM;

struct Slab;

// What a tensor holds: a mapping of its own, or a piece of a slab.
struct Block {
    void* address;
    size_t size;
    Slab* slab;
};

// A huge page cut into equal pieces, so that middling tensors share its entry in the TLB.
struct Slab {
    void* address;
    size_t free;
    std::vector<Block> pieces;
};

// Never destroyed: tensors may outlive everything else at the end of a process.
class Pool {
  public:
    static Pool& get() {
        static Pool* pool = new Pool();
        return *pool;
    }

    // A free block that fits; or one that is larger, cut to size; or a fresh one, for which what is free gives way, so
    // that a network of layers of many sizes does not keep blocks of each beside those that it uses.
    Block* take(size_t bytes) {
        if (bytes < WHOLE_FROM) return take_piece(HUGE_PAGE / ((bytes + PAGE - 1) / PAGE * PAGE));
        const size_t size = (bytes + POOLED_FROM - 1) / POOLED_FROM * POOLED_FROM;
        std::vector<Block*> giving_way;
        Block* block = nullptr;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            const auto found = free_.lower_bound(size);
            if (found != free_.end()) {
                block = unlist(found);
            } else {
                for (size_t freed = 0; freed < size && !free_.empty(); freed += giving_way.back()->size)
                    giving_way.push_back(unlist(std::prev(free_.end())));
            }
        }
        for (Block* other : giving_way) release(other);
        if (block == nullptr) return new Block{map(size), size, nullptr};
        if (block->size > size + size / 4) {
            munmap(static_cast<char*>(block->address) + size, block->size - size);
            block->size = size;
        }
        return block;
    }

    void give_back(Block* block) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (block->slab) return give_back_piece(block);
        if (cached_ + block->size > limit_) return release(block);
        free_[block->size].push_back(block);
        cached_ += block->size;
    }

    // Bytes that went back to the system. A slab goes when all of its pieces are free.
    size_t empty() {
        std::lock_guard<std::mutex> lock(mutex_);
        const size_t before = cached_;
        for (auto& [size, blocks] : free_)
            for (Block* block : blocks) cached_ -= size, release(block);
        free_.clear();
        std::set<Slab*> idle;
        for (auto& pieces : pieces_)
            for (Block* piece : pieces)
                if (piece->slab->free == piece->slab->pieces.size()) idle.insert(piece->slab);
        for (Slab* slab : idle) release_slab(slab);
        return before - cached_;
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
    using Free = std::map<size_t, std::vector<Block*>>;

    Block* unlist(Free::iterator place) {
        Block* block = place->second.back();
        place->second.pop_back();
        if (place->second.empty()) free_.erase(place);
        cached_ -= block->size;
        return block;
    }

    Pool() { pthread_atfork(before_fork, after_fork, after_fork); }

    static void before_fork() { get().mutex_.lock(); }
    static void after_fork() { get().mutex_.unlock(); }

    Block* take_piece(size_t count) {
        std::lock_guard<std::mutex> lock(mutex_);
        count = std::min(count, MOST_PIECES);
        auto& pieces = pieces_[count];
        if (pieces.empty()) {
            const size_t size = HUGE_PAGE / count / PAGE * PAGE;
            auto* slab = new Slab{map(HUGE_PAGE), count, {}};
            for (size_t i = 0; i < count; ++i) slab->pieces.push_back({static_cast<char*>(slab->address) + i * size, size, slab});
            for (size_t i = count; i-- > 0;) pieces.push_back(&slab->pieces[i]);
            cached_ += count * size;
        }
        Block* piece = pieces.back();
        pieces.pop_back();
        --piece->slab->free;
        cached_ -= piece->size;
        return piece;
    }

    void give_back_piece(Block* piece) {
        pieces_[piece->slab->pieces.size()].push_back(piece);
        ++piece->slab->free;
        cached_ += piece->size;
        if (cached_ > limit_ && piece->slab->free == piece->slab->pieces.size()) release_slab(piece->slab);
    }

    void release_slab(Slab* slab) {
        auto& pieces = pieces_[slab->pieces.size()];
        pieces.erase(
            std::remove_if(pieces.begin(), pieces.end(), [slab](Block* piece) { return piece->slab == slab; }), pieces.end());
        for (Block& piece : slab->pieces) cached_ -= piece.size;
        munmap(slab->address, HUGE_PAGE);
        delete slab;
    }

    static void release(Block* block) {
        munmap(block->address, block->size);
        delete block;
    }

    // Memory that begins on a huge page; the last, broken one is made of small pages.
    static void* map(size_t size) {
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
        return reinterpret_cast<void*>(begin);
    }

    std::mutex mutex_;
    Free free_;
    std::vector<Block*> pieces_[MOST_PIECES + 1];  // by how many make a slab
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
