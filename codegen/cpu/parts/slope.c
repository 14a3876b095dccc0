/* ALiBi's slope of a head: Press et al. (arXiv 2108.12409), and their code where heads are no power of two. */
static float slope_of(int64_t head, int64_t heads) {
    int64_t whole = 1;
    while (2 * whole <= heads) {
        whole *= 2;
    }
    const double step = head < whole ? -8.0 * (double)(head + 1) : -4.0 * (double)(2 * (head - whole) + 1);
    return (float)exp2(step / (double)whole);
}
