/* SPDX-License-Identifier: Apache-2.0
 *
 * A compacted topic as a table: set a key, wait until the table has it, and print every row.
 * build/examples/table TOPIC KEY VALUE
 */
#include <evlog/evlog.h>
#include <stdio.h>
#include <string.h>

static int set(struct evlog_client *client, const char *const *words, struct evlog_receipt *receipt,
               struct evlog_failure *failure)
{
    struct evlog_producer *producer;
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.topic = words[1];
    message.key = (struct evlog_bytes){words[2], strlen(words[2])};
    message.value = (struct evlog_bytes){words[3], strlen(words[3])};
    int rc = evlog_producer_open(client, &producer, failure);
    if (rc == 0) {
        rc = evlog_publish(producer, &message, receipt, failure);
        evlog_producer_close(producer);
    }
    return rc;
}

static void print_rows(struct evlog_table *table)
{
    const struct evlog_event *row;
    struct evlog_bytes after = {NULL, 0};
    while (evlog_table_next(table, after, &row) == 1) {
        printf("%.*s = %.*s\n", (int)row->key.len, (const char *)row->key.data, (int)row->value.len,
               (const char *)row->value.data);
        after = row->key;
    }
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = NULL;
    struct evlog_table *table = NULL;
    struct evlog_table_options options = EVLOG_TABLE_OPTIONS_INIT;
    struct evlog_receipt receipt = EVLOG_RECEIPT_INIT;
    if (argc != 4) {
        fprintf(stderr, "usage: table TOPIC KEY VALUE\n");
        return 2;
    }
    options.topic = argv[1];
    int rc = evlog_client_open(NULL, &client, &failure);
    rc = rc != 0 ? rc : evlog_table_open(client, &options, &table, &failure);
    rc = rc != 0 ? rc : evlog_table_refresh(table, -1, &failure); /* what was there before */
    rc = rc != 0 ? rc : set(client, (const char *const *)argv, &receipt, &failure);
    rc = rc != 0 ? rc : evlog_table_wait(table, receipt.partition, receipt.offset, -1, &failure);
    if (rc == 0) {
        print_rows(table);
    } else {
        fprintf(stderr, "table: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_table_close(table);
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
