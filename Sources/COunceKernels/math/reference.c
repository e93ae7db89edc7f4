#include "polynomials.h"

float ounce_exp(float x) { return ounce_exp_inline(x); }
float ounce_log(float x) { return ounce_log_inline(x); }
float ounce_tanh(float x) { return ounce_tanh_inline(x); }
float ounce_sigmoid(float x) { return ounce_sigmoid_inline(x); }
float ounce_unary(int32_t op, float alpha, float beta, float x) { return ounce_unary_inline(op, alpha, beta, x); }
