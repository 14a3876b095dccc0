const int64_t q_len = call->q_len, kv_len = call->kv_len;
const int64_t q_first = greater(tile * BLOCK_M, kv_len - q_len);
const int64_t q_last = lesser(tile * BLOCK_M + BLOCK_M, kv_len) - 1;
const int64_t kv_head = head / (call->q_heads / call->kv_heads), row = q_first - (kv_len - q_len);
const element *query = call->query + batch * call->query_stride[0] + head * call->query_stride[1];
struct block block;
block.call = call;
block.key = call->key + batch * call->key_stride[0] + kv_head * call->key_stride[1];
block.value = call->value + batch * call->value_stride[0] + kv_head * call->value_stride[1];
block.key_stride = call->key_stride[2];
block.value_stride = call->value_stride[2];
block.q_first = q_first;
block.head = head;
block.batch = batch;
FACTOR
block.rows = (int)(q_last - q_first + 1);
block.count = 0;
load_queries(&block, query + row * call->query_stride[2], call->query_stride[2]);
begin_rows(&block);
