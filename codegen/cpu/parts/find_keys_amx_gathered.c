const int32_t *position = block->position + at;
const element *key = block->key + position[0] * block->key_stride;
int64_t bytes = block->key_stride * (int64_t)sizeof(element);
if (COPY_KEYS || last < KEYS - 1 || position[KEYS - 1] - position[0] != KEYS - 1) {
    for (int k = 0; k <= last && k < KEYS; k++) {
        memcpy(block->key_copy[k], block->key + position[k] * block->key_stride, HEAD_DIM * sizeof(element));
    }
    key = block->key_copy[0];
    bytes = sizeof block->key_copy[0];
}
