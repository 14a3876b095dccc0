/* One call: query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM],
   lse [batch, q_heads, q_len]; out and lse are contiguous. Strides count elements, in the order batch, head, row. */
struct call {
    const element *query, *key, *value;
    element *out;
    float *lse;
    int64_t batch, q_heads, kv_heads, q_len, kv_len;
    int64_t query_stride[3], key_stride[3], value_stride[3];
    int64_t threads;
    double scale;
};
