#define LOG2_E LOG2_E_VALUE
#define LN_2 LN_2_VALUE
#define LOWEST -1e30f /* what row_max starts from; masked scores lie far below it */
#define MASKED -1e36f
#define LEAST_SCALE 1e-30f /* a scale of 0 must not make masked scores weigh something */
#define PARALLEL_SCORES 65536 /* fewer scores than this are faster on one thread */
