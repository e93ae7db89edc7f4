// Atomic words in memory of the caller's, for the runtime's thread pool (a futex needs the word's address).
#ifndef OUNCE_ATOMIC_H
#define OUNCE_ATOMIC_H

#include <stdint.h>

static inline uint32_t ounce_atomic_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void ounce_atomic_store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
// Returns the value before the addition.
static inline uint32_t ounce_atomic_add(uint32_t *word, uint32_t value) {
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

static inline uint64_t ounce_atomic_load64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void ounce_atomic_store64(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}
// Whether `*word` was `expected` and is `desired` now.
static inline int ounce_atomic_exchange64(uint64_t *word, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n(word, &expected, desired, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
