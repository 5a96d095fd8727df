/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated disk. What a file holds is kept three times over: what a read sees, what would survive a power cut, and
 * the list of operations between the two. Its faults are those of faults.h; the machine's other parts draw theirs here
 * as well.
 */
#ifndef EL_SIM_DISK_H
#define EL_SIM_DISK_H

#include "faults.h"
#include "sim_trace.h"

#include <core/rng.h>
#include <io/disk.h>

/* Calls that a test can let fail. */
enum sim_call { SIM_PWRITEV, SIM_SYNC, SIM_SYNC_DIR, SIM_RENAME };

struct sim_disk;

struct sim_disk *sim_disk_create(struct el_rng *rng);
void sim_disk_free(struct sim_disk *disk);
struct disk *sim_disk_as_disk(struct sim_disk *disk);
struct sim_trace *sim_disk_trace(struct sim_disk *disk);
/* Set the probability of a fault; a new disk has those of power cuts alone. */
void sim_disk_fault_set(struct sim_disk *disk, enum sim_fault fault, uint32_t ppm);
uint32_t sim_disk_fault_ppm(const struct sim_disk *disk, enum sim_fault fault);
/* Draw whether a fault happens now; counted when it does. */
bool sim_disk_fault(struct sim_disk *disk, enum sim_fault fault);
void sim_disk_fault_count(struct sim_disk *disk, enum sim_fault fault);
/* [FAULT_COUNT] how often each has happened. */
const uint64_t *sim_disk_fault_counts(const struct sim_disk *disk);
/* Bytes that all files may have together, 0 for no bound. */
void sim_disk_capacity(struct sim_disk *disk, uint64_t bytes);
/* The next call of a kind fails and has no effect; of a sync, what was to be synced counts as clean from then on. */
void sim_disk_fail_next(struct sim_disk *disk, enum sim_call call, int code);
/* Crash at the n-th call from now (1: the next); 0 never. From then on every call returns EVLOG_ERR_CRASHED. */
void sim_disk_crash_at(struct sim_disk *disk, uint64_t n);
bool sim_disk_crashed(const struct sim_disk *disk);
/* Let every call fail as after a crash, or no longer. */
void sim_disk_off(struct sim_disk *disk, bool off);
uint64_t sim_disk_calls(const struct sim_disk *disk);
/* Power comes back: unsynced operations are kept, lost or torn by chance; all descriptors are gone. */
void sim_disk_power_cycle(struct sim_disk *disk);
/* The process ended but the machine did not: descriptors are gone, the page cache stays. */
void sim_disk_process_exit(struct sim_disk *disk);

/* No crash and no fault, for a while; calls take no random numbers. */
void sim_disk_shelter(struct sim_disk *disk, bool on);

/* --- choosing what a crash leaves --------------------------------------------------------------------------------- */

/* Call fn whenever a call begins and the disk has changed since fn was called last: a crash now leaves what a crash
 * anywhere since the change would leave. NULL: no more. */
void sim_disk_watch(struct sim_disk *disk, void (*fn)(void *arg), void *arg);
/* A copy with all that is not durable yet, without descriptors and faults. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk, struct el_rng *rng);

/* Something that is not durable yet. */
struct sim_pending {
    bool name;             /* a change of a folder, or a write or a truncate of a file */
    uint32_t sector_count; /* of a write; 1 for everything else, which happens whole or not at all */
};
/* Sectors [from, to) of it survive. */
struct sim_keep {
    uint32_t from, to;
};
#define SIM_KEEP_NONE ((struct sim_keep){0, 0})
#define SIM_KEEP_ALL ((struct sim_keep){0, UINT32_MAX})
/* What is not durable, writes before names, each in the order of the calls. Of one folder a prefix can survive.
 * returns how many there are; at most list_max are filled in */
uint32_t sim_disk_pending(const struct sim_disk *disk, struct sim_pending *list, uint32_t list_max);
/* The disk as it is found after a power cut that leaves keep[i] of the i-th pending thing. */
struct sim_disk *sim_disk_after_cut(const struct sim_disk *disk, const struct sim_keep *keep, struct el_rng *rng);
/* Mix of all names and bytes that are durable. */
uint64_t sim_disk_digest(struct sim_disk *disk);
/* Cut a file short, in what is durable and in what a read sees. returns false when it is shorter */
bool sim_disk_cut(struct sim_disk *disk, const char *path, uint64_t len);

/* --- looks from outside ------------------------------------------------------------------------------------------- */

/* Call fn for every file, in byte order of the paths: those that would survive a power cut, or those that are seen. */
void sim_disk_each(struct sim_disk *disk, bool durable, void (*fn)(void *arg, const char *path, uint64_t len),
                   void *arg);
/* Rot: turn bits of one byte, in what is durable and in what a read sees. returns false when it is not durable yet */
bool sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t pos, uint8_t bits);
/* Are these bytes anywhere in a file: as a read sees it, as it is durable, or in what
 * may still become so? returns its path, NULL none */
const char *sim_disk_holds(const struct sim_disk *disk, const void *bytes, size_t len);
/* Descriptors that are open. */
uint32_t sim_disk_open_count(const struct sim_disk *disk);
/* Bytes of all files as a read sees them. */
uint64_t sim_disk_used(const struct sim_disk *disk);
/* A durable write that the backend has under way: begin, then end it once. Between them a crash tears it. */
struct sim_write;
struct sim_write *sim_disk_write_begin(struct sim_disk *disk, int fd, const struct iovec *iov, int iov_count,
                                       uint64_t pos);
/* returns bytes written | EVLOG_ERR_IO | EVLOG_ERR_CRASHED */
int64_t sim_disk_write_end(struct sim_disk *disk, struct sim_write *write);

#endif
