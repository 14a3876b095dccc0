
if (block.count > 0) {
    absorb(&block);
}
const int64_t place = (batch * call->q_heads + head) * q_len + row;
finish_rows(&block, call->out + place * HEAD_DIM, call->lse + place);
