#ifndef OUNCE_MATMUL_H
#define OUNCE_MATMUL_H

// Rows of the result in a unit of work.
#define MATMUL_TILE 24

#endif
