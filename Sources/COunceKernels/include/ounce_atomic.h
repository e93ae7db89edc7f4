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

#endif
