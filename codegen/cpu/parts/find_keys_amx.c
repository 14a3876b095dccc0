const element *key = block->key + first * block->key_stride;
int64_t bytes = step * block->key_stride * (int64_t)sizeof(element);
if (COPY_KEYS || first + (KEYS - 1) * step >= block->call->kv_len) {
    for (int k = 0; k <= last && k < KEYS; k++) {
        memcpy(block->key_copy[k], key + k * step * block->key_stride, HEAD_DIM * sizeof(element));
    }
    key = block->key_copy[0];
    bytes = sizeof block->key_copy[0];
}
