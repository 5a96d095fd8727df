/* SPDX-License-Identifier: Apache-2.0
 *
 * Publish one event and say where it is stored: make examples && build/examples/publish
 */
#include <evlog/evlog.h>
#include <stdio.h>

int main(void)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = NULL;
    struct evlog_producer *producer = NULL;
    struct evlog_receipt receipt = EVLOG_RECEIPT_INIT;
    struct evlog_message event = EVLOG_MESSAGE_INIT;
    event.topic = "orders";
    event.key = (struct evlog_bytes){"order-9", 7};
    event.value = (struct evlog_bytes){"{\"status\":\"paid\"}", 17};
    int rc = evlog_client_open(NULL, &client, &failure); /* NULL: default settings, 127.0.0.1:9092 */
    rc = rc != 0 ? rc : evlog_producer_open(client, &producer, &failure);
    rc = rc != 0 ? rc : evlog_publish(producer, &event, &receipt, &failure); /* waits until it is on the disk */
    if (rc == 0) {
        printf("stored in partition %d at offset %lld\n", receipt.partition, (long long)receipt.offset);
    } else {
        fprintf(stderr, "publish: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_producer_close(producer);
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
