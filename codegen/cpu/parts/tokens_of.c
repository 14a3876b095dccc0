/* The numbers that are meant for a batch and a query head. */
static const int32_t *tokens_of(const struct call *call, const struct tokens *tokens, int64_t batch, int64_t head) {
    const int64_t token_head = head * tokens->heads / call->q_heads;
    return tokens->numbers + batch * tokens->batch_stride + token_head * tokens->head_stride;
}
