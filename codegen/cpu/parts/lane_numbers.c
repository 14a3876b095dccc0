/* Division of every lane that rounds down; the divisor is a positive constant. */
#define FLOOR_DIV(a, b) ((a) / (b) + ((a) % (b) < 0))
#define FLOOR_MOD(a, b) ((a) % (b) + (((a) % (b) < 0) & (b)))

static inline ivec choose_lanes(ivec keep, ivec then, ivec otherwise) { return (keep & then) | (~keep & otherwise); }

static inline ivec lesser_lanes(ivec a, ivec b) { return choose_lanes(a < b, a, b); }

static inline ivec greater_lanes(ivec a, ivec b) { return choose_lanes(a > b, a, b); }

static inline ivec magnitude_lanes(ivec a) { return choose_lanes(a < 0, -a, a); }
