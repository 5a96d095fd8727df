/* SPDX-License-Identifier: Apache-2.0
 *
 * See data_dir.h.
 *
 * Network file systems and overlays mounted "volatile" answer a sync before the bytes are safe; evlogd refuses them,
 * unless told otherwise. Memory file systems and those it does not know are used with a warning.
 */
#include <data_dir.h>

#include <core/logger.h>
#include <io/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define SHARED_MEMORY "/dev/shm"
#define REMOVE_FD_MAX 16
EL_STATIC_ASSERT(CONFIG_PATH_MAX >= PATH_MAX, "room for realpath()");

#define LOCK_NAME "lock"        /* holds the owner's process id, for people and for the next start */
#define LOCK_WAIT_DEAD_MS 60000 /* for what a killed process has asked the kernel for */
#define LOCK_WAIT_ALIVE_MS 2000 /* for one that is just ending */
#define LOCK_POLL_MS 20

enum filesystem_kind { FS_SAFE, FS_OVERLAY, FS_MEMORY, FS_NETWORK, FS_UNKNOWN };

struct filesystem {
    unsigned long magic; /* statfs.f_type */
    const char *name;
    enum filesystem_kind kind;
};

/* Numbers that linux/magic.h lacks are from statfs(2). */
static const struct filesystem filesystems[] = {
    {EXT4_SUPER_MAGIC, "ext4", FS_SAFE},
    {XFS_SUPER_MAGIC, "xfs", FS_SAFE},
    {BTRFS_SUPER_MAGIC, "btrfs", FS_SAFE},
    {F2FS_SUPER_MAGIC, "f2fs", FS_SAFE},
    {0x2fc12fc1, "zfs", FS_SAFE},
    {0xca451a4e, "bcachefs", FS_SAFE},
    {OVERLAYFS_SUPER_MAGIC, "overlay", FS_OVERLAY},
    {TMPFS_MAGIC, "tmpfs", FS_MEMORY},
    {RAMFS_MAGIC, "ramfs", FS_MEMORY},
    {NFS_SUPER_MAGIC, "nfs", FS_NETWORK},
    {SMB_SUPER_MAGIC, "smb", FS_NETWORK},
    {CIFS_SUPER_MAGIC, "cifs", FS_NETWORK},
    {SMB2_SUPER_MAGIC, "smb2", FS_NETWORK},
    {AFS_SUPER_MAGIC, "afs", FS_NETWORK},
    {CEPH_SUPER_MAGIC, "ceph", FS_NETWORK},
    {V9FS_MAGIC, "9p", FS_NETWORK},
    {0x0bd00bd0, "lustre", FS_NETWORK},
    {0x01161970, "gfs2", FS_NETWORK},
};

/* Is the mount that holds the path an overlay with the option "volatile"? Reads /proc/self/mountinfo. */
static bool overlay_is_volatile(const char *path)
{
    char real[PATH_MAX];
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (mounts == NULL || realpath(path, real) == NULL) {
        if (mounts != NULL) {
            fclose(mounts);
        }
        return false;
    }
    char line[8192];
    size_t longest = 0;
    bool found = false;
    while (fgets(line, sizeof line, mounts) != NULL) {
        char point[PATH_MAX];
        if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1) {
            continue;
        }
        size_t len = strcmp(point, "/") == 0 ? 0 : strlen(point);
        bool holds = strncmp(real, point, len) == 0 && (real[len] == '/' || real[len] == '\0');
        if (holds && len >= longest) {
            longest = len;
            found = strstr(line, " - overlay ") != NULL && strstr(line, ",volatile") != NULL;
        }
    }
    fclose(mounts);
    return found;
}

static int check_filesystem(const struct config *cfg, const char *path, struct el_error *err)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    struct filesystem found = {.name = "", .kind = FS_UNKNOWN};
    for (size_t i = 0; i < sizeof filesystems / sizeof filesystems[0]; i++) {
        if (filesystems[i].magic == (unsigned long)(uint32_t)fs.f_type) {
            found = filesystems[i];
        }
    }
    bool lossy = found.kind == FS_NETWORK || (found.kind == FS_OVERLAY && overlay_is_volatile(path));
    if (lossy && !cfg->unsafe_filesystem) {
        return el_error_set(
            err, EVLOG_ERR_UNSUPPORTED,
            "%s lies on %s%s, where a synced write may be lost: use a local disk, or accept the loss with "
            "--unsafe-filesystem",
            path, found.name, found.kind == FS_OVERLAY ? " mounted volatile" : "");
    }
    if (lossy || found.kind == FS_MEMORY) {
        el_log(EL_LOG_WARN, "server", "%s lies on %s: acknowledged events may be lost when the machine stops", path,
               found.name);
    } else if (found.kind == FS_UNKNOWN) {
        el_log(EL_LOG_WARN, "server", "%s lies on a file system that evlogd does not know (type %#lx)", path,
               (unsigned long)(uint32_t)fs.f_type);
    }
    return 0;
}

/* Make the directory and those above it. */
static int make_path(const char *path, struct el_error *err)
{
    char part[CONFIG_PATH_MAX];
    size_t len = strlen(path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST) {
            return el_error_set(err, el_error_from_errno(errno), "data directory %s: %s", part, strerror(errno));
        }
        part[i] = kept;
    }
    return 0;
}

/* Does the process that the lock file names live, and is it an evlogd? */
static bool owner_alive(int fd, long *pid)
{
    char text[32] = "", path[64], name[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    *pid = n > 0 ? strtol(text, NULL, 10) : 0;
    snprintf(path, sizeof path, "/proc/%ld/comm", *pid);
    FILE *comm = *pid > 0 ? fopen(path, "re") : NULL;
    if (comm == NULL) {
        return false;
    }
    bool same = fgets(name, sizeof name, comm) != NULL && strcmp(name, "evlogd\n") == 0;
    fclose(comm);
    return same;
}

static int lock(struct data_dir *dir, struct el_error *err)
{
    char path[CONFIG_PATH_MAX + sizeof LOCK_NAME];
    snprintf(path, sizeof path, "%s/" LOCK_NAME, dir->path);
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (dir->lock_fd < 0) {
        return el_error_set(err, el_error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    for (int waited_ms = 0; flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return el_error_set(err, el_error_from_errno(errno), "%s: %s", path, strerror(errno));
        }
        long pid;
        bool alive = owner_alive(dir->lock_fd, &pid);
        if (waited_ms == 0) {
            el_log(EL_LOG_INFO, "server", "waiting for the lock on %s: process %ld %s", dir->path, pid,
                   alive ? "holds it" : "has ended, the kernel still works for it");
        }
        if (waited_ms >= (alive ? LOCK_WAIT_ALIVE_MS : LOCK_WAIT_DEAD_MS)) {
            return el_error_set(err, EVLOG_ERR_LOCKED, "data directory %s is in use by process %ld", dir->path, pid);
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(dir->lock_fd, 0) != 0 || pwrite(dir->lock_fd, text, (size_t)len, 0) != len) {
        return el_error_set(err, el_error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int make_temporary(struct data_dir *dir, struct el_error *err)
{
    const char *folder = access(SHARED_MEMORY, W_OK | X_OK) == 0 ? SHARED_MEMORY : getenv("TMPDIR");
    snprintf(dir->path, sizeof dir->path, "%s/evlogd-XXXXXX", folder == NULL ? "/tmp" : folder);
    if (mkdtemp(dir->path) == NULL) {
        return el_error_set(err, el_error_from_errno(errno), "temporary data directory %s: %s", dir->path,
                            strerror(errno));
    }
    dir->temporary = true;
    el_log(EL_LOG_INFO, "server", "ephemeral: everything is kept in %s and goes when evlogd ends", dir->path);
    return 0;
}

int data_dir_open(const struct config *cfg, struct data_dir *dir, struct el_error *err)
{
    dir->temporary = false;
    dir->lock_fd = -1;
    int error;
    if (cfg->ephemeral && cfg->data[0] == '\0') {
        error = make_temporary(dir, err);
    } else {
        snprintf(dir->path, sizeof dir->path, "%s", cfg->data);
        error = make_path(dir->path, err);
        if (error == 0) {
            error = check_filesystem(cfg, dir->path, err);
        }
    }
    if (error == 0 && realpath(dir->path, dir->real_path) == NULL) {
        error = el_error_set(err, el_error_from_errno(errno), "data directory %s: %s", dir->path, strerror(errno));
    }
    return error != 0 ? error : lock(dir, err);
}

void data_dir_confine(const struct config *cfg, const struct data_dir *dir)
{
    static const char scheme[] = "file://";
    struct el_error err = {0};
    const char *dirs[2] = {dir->real_path};
    size_t count = 1;
    if (!cfg->landlock || dir->temporary) { /* the folder above a temporary one loses it at the end */
        return;
    }
    if (strncmp(cfg->archive_url, scheme, strlen(scheme)) == 0) {
        const char *archive = cfg->archive_url + strlen(scheme);
        if (!cfg->from_archive) { /* from nothing there is nothing to restore: that must be told, not made */
            (void)make_path(archive, NULL);
        }
        if (access(archive, F_OK) == 0) { /* else opening the archive says why not */
            dirs[count++] = archive;
        }
    }
    if (sandbox_write_only(dirs, count, &err) != 0) {
        el_log(EL_LOG_WARN, "server", "the kernel does not keep evlogd from writing outside the data directory: %s",
               err.text);
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
        dir->lock_fd = -1;
    }
    if (dir->temporary) {
        nftw(dir->path, remove_one, REMOVE_FD_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        dir->temporary = false;
    }
}
