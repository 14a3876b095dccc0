#define LOG2_E LOG2_E_VALUE
#define LN_2 LN_2_VALUE
/* What row_max starts from, and the score of a key that the mask leaves out. */
#define LOWEST -1e30f
#define MASKED -1e36f

/* A scale of 0 must not make masked scores weigh something. */
#define LEAST_SCALE 1e-30f

/* Fewer scores than this are faster on one thread. */
#define PARALLEL_SCORES 65536
