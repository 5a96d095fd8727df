/* SPDX-License-Identifier: Apache-2.0
 *
 * Receive buffers: blocks of the shard's buddy, counted by references and, together, against recv_bytes_max.
 *
 * Freeing a block of 1 MiB gives its pages back to the kernel, and the next large frame would fault them in again, at
 * about the cost of copying it. A few large blocks are therefore kept as spares; they go first when memory is short.
 */
#include <net/conn.h>

#define SPARE_BLOCK_LEN_MIN (256u << 10)
#define SPARE_BLOCK_LEN_MAX (4u << 20)

static struct net_buffer *spare_take(struct net *net, size_t block_len)
{
    for (uint32_t i = 0; i < net->spare_count; i++) {
        struct net_buffer *buffer = net->spares[i];
        if (buffer->block_len == block_len) {
            net->spares[i] = net->spares[--net->spare_count];
            return buffer;
        }
    }
    return NULL;
}

static void block_free(struct net *net, struct net_buffer *buffer)
{
    EL_ASSERT(net->recv_bytes >= buffer->block_len);
    net->recv_bytes -= buffer->block_len;
    buffer->magic = 0;
    el_buddy_free(net->buddy, buffer);
}

void buffer_drop_spares(struct net *net)
{
    while (net->spare_count > 0) {
        block_free(net, net->spares[--net->spare_count]);
    }
}

static struct net_buffer *block_get(struct net *net, size_t block_len)
{
    if (block_len > net->config.recv_bytes_max || net->recv_bytes > net->config.recv_bytes_max - block_len) {
        return NULL;
    }
    return el_buddy_alloc(net->buddy, block_len);
}

size_t buffer_block_len(size_t data_len)
{
    EL_ASSERT(data_len > 0);
    EL_ASSERT(data_len < SIZE_MAX / 4);
    size_t need = sizeof(struct net_buffer) + data_len;
    size_t block_len = EL_BUDDY_BLOCK_MIN;
    while (block_len < need) {
        block_len *= 2;
    }
    return block_len;
}

struct net_buffer *buffer_get(struct net *net, size_t data_len)
{
    size_t block_len = buffer_block_len(data_len);
    struct net_buffer *buffer = spare_take(net, block_len);
    if (buffer == NULL) {
        buffer = block_get(net, block_len);
        if (buffer == NULL && net->spare_count > 0) {
            buffer_drop_spares(net);
            buffer = block_get(net, block_len);
        }
        if (buffer == NULL) {
            return NULL;
        }
        net->recv_bytes += block_len;
    }
    buffer->magic = BUFFER_MAGIC;
    buffer->ref_count = 1;
    buffer->net = net;
    buffer->account = NULL;
    buffer->block_len = block_len;
    buffer->data_len = block_len - sizeof(struct net_buffer);
    return buffer;
}

void buffer_ref(struct net_buffer *buffer)
{
    OBJ_CHECK(buffer, BUFFER);
    EL_ASSERT(buffer->ref_count > 0);
    buffer->ref_count++;
}

void buffer_unref(struct net_buffer *buffer)
{
    OBJ_CHECK(buffer, BUFFER);
    EL_ASSERT(buffer->ref_count > 0);
    if (--buffer->ref_count > 0) {
        return;
    }
    struct net *net = buffer->net;
    size_t len = buffer->block_len;
    account_discharge(buffer);
    if (net->spare_count < NET_SPARE_MAX && len >= SPARE_BLOCK_LEN_MIN && len <= SPARE_BLOCK_LEN_MAX &&
        net->recv_bytes <= net->config.recv_bytes_max / 2) {
        net->spares[net->spare_count++] = buffer;
    } else {
        block_free(net, buffer);
    }
}
