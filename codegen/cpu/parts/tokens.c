/* A number for every position, [batch, heads, kv_len]; strides count numbers, that of one batch for all is 0. */
struct tokens {
    const int32_t *numbers;
    int64_t heads, batch_stride, head_stride;
};
