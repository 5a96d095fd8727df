/* SPDX-License-Identifier: Apache-2.0
 *
 * The C client of evlog, in one include. See the headers for what each part does; docs/examples holds programs.
 */
#ifndef EVLOG_EVLOG_H
#define EVLOG_EVLOG_H

#include <evlog/access.h>
#include <evlog/admin.h>
#include <evlog/aggregate.h>
#include <evlog/archive.h>
#include <evlog/client.h>
#include <evlog/consumer.h>
#include <evlog/error.h>
#include <evlog/event.h>
#include <evlog/failure.h>
#include <evlog/groups.h>
#include <evlog/lease.h>
#include <evlog/producer.h>
#include <evlog/projection.h>
#include <evlog/projection_sql.h>
#include <evlog/redrive.h>
#include <evlog/replay.h>
#include <evlog/saga.h>
#include <evlog/seal.h>
#include <evlog/settings.h>
#include <evlog/stream.h>
#include <evlog/subscriber.h>
#include <evlog/subscription.h>
#include <evlog/table.h>
#include <evlog/trace.h>

#endif
