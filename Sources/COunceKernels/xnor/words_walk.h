// The walk of the kernel that counts in words, over the image of bits: what packs for it wants to know, too.
#ifndef OUNCE_WORDS_WALK_H
#define OUNCE_WORDS_WALK_H

#include "../conv/walk.h"

OUNCE_INLINE conv_walk xnor_words_walk(const ounce_conv_params *image) {
    const walk_registers registers = {.narrow = 32, .wide = 32, .block = 2, .single = 8};
    conv_walk w = make_conv_walk(image, registers, S8_HEADER, 4, 1);
    w.by_blocks = 0;  // what a tile reads is made for it
    return w;
}

#endif
