static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

static inline int64_t magnitude(int64_t a) { return a < 0 ? -a : a; }

/* Division that rounds down; the divisor is positive. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static inline int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }
