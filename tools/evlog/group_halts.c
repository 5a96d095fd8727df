/* SPDX-License-Identifier: Apache-2.0 */
#include "group_halts.h"
#include "dead_letter.h"

#include <evlog/lease.h>
#include <string.h>

void group_halts_say(struct cli *cli, const char *group)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_halts *halts;
    if (evlog_group_halts(cli->client, group, &halts, &failure) != 0) {
        return;
    }
    for (size_t i = 0; i < halts->halt_count; i++) {
        const struct evlog_group_halt *halt = &halts->halts[i];
        cli_say(cli,
                "group %s halts in %s[%d]: the event at offset %lld failed for the last time, and nothing behind it is "
                "delivered; \"evlog groups release %s -t %s\" tries it anew",
                group, halt->topic, halt->partition, (long long)halt->offset, group, halt->topic);
    }
    evlog_group_halts_free(halts);
}

void group_halts_say_all(struct cli *cli, const struct evlog_group_list *groups, const char *topic)
{
    for (size_t i = 0; i < groups->group_count; i++) {
        const struct evlog_group_name *group = &groups->groups[i];
        if (topic == NULL ? group_works(group) : dead_letter_names(topic, group)) {
            group_halts_say(cli, group->name);
        }
    }
}
