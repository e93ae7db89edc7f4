// Convolution weights with output channels side by side, for vectors of any length over them, and the segments of a pixel.
// Packed: a start value for each output channel, for int8 then a scale for each, then [reduction index in the
// group][output channel]. Groups are kept; a depthwise convolution has one input channel for each group.
#ifndef OUNCE_CHANNELS_H
#define OUNCE_CHANNELS_H

#include "../kernels.h"
#include "pixels.h"

typedef struct {
    int64_t out_c, group_in, group_out, groups;
    int64_t kernel_h, kernel_w, row_step, column_step;
} channels_view;

OUNCE_INLINE channels_view make_channels_view(const ounce_conv_params *p) {
    return (channels_view){
        .out_c = p->out_c, .group_in = p->in_c / p->groups, .group_out = p->out_c / p->groups, .groups = p->groups,
        .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .row_step = p->dilation_h * p->in_row, .column_step = p->dilation_w * p->in_pixel,
    };
}

#endif
