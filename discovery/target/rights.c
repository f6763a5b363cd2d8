/* What decides about reading others, from this process's own /proc entry, and which of it stands in
 * the way of one target. Owns the words in which a refusal is told. */
#include "target/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/str.h"
#include "target/memory.h"
#include "target/procfs.h"

#define CAP_BIT_SYS_PTRACE 19

/* Inode numbers that the kernel gives the first namespaces (include/linux/proc_ns.h). */
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDUL
#define INITIAL_PID_NAMESPACE  0xEFFFFFFCUL

/* Value of "NAME:" in the text of /proc/PID/status, trimmed; empty when absent. */
static struct pst_str status_field(struct pst_str text, const char *name)
{
    struct pst_str line, key = pst_str(name);

    while (pst_str_next(&text, '\n', &line))
        if (pst_str_starts(line, key) && line.len > key.len && line.ptr[key.len] == ':')
            return pst_str_trim((struct pst_str){line.ptr + key.len + 1, line.len - key.len - 1});
    return PST_STR("");
}

/* Second number of "Uid: real effective saved fs". */
static uid_t effective_uid(struct pst_str field)
{
    struct pst_str part = {NULL, 0};
    uint64_t uid = (uint64_t)-1;

    for (int number = 0; number < 2; number++)
        if (!pst_str_next(&field, '\t', &part))
            return (uid_t)-1;
    (void)pst_str_u64(part, 10, UINT32_MAX, &uid);
    return (uid_t)uid;
}

static uint64_t hex_field(struct pst_str text, const char *name)
{
    uint64_t value = 0;
    (void)pst_str_u64(status_field(text, name), 16, UINT64_MAX, &value);
    return value;
}

static int number_in(const char *path, int unknown)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));
    uint64_t value;

    pst_buf_init(&text, 64);
    if (pst_io_read_file(AT_FDCWD, path, &text, true) < 0 ||
        pst_str_u64(pst_str_trim(pst_buf_view(&text)), 10, 99, &value) < 0)
        return unknown;
    return (int)value;
}

static bool is_initial(const char *path, unsigned long inode)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_ino == inode;
}

/* Own memory: no permission can be missing, so a refusal is a filter's. */
static int try_read(bool *ret_by_file)
{
    struct pst_procref self;
    struct pst_memory *memory;
    uint64_t from = 1, to = 0;
    int rc = pst_procref_open(getpid(), &self);

    *ret_by_file = false;
    if (rc < 0)
        return -rc;
    memory = pst_memory_new(&self);
    rc = memory ? pst_memory_u64(memory, (uint64_t)(uintptr_t)&from, &to) : -ENOMEM;
    *ret_by_file = memory && pst_memory_by_file(memory);
    pst_memory_free(memory);
    pst_procref_done(&self);
    return -rc;
}

bool pst_rights_hidepid(struct pst_str mountinfo, int64_t *ret_group)
{
    struct pst_str line, word, option;
    bool hides = false;

    *ret_group = -1;
    while (pst_str_next(&mountinfo, '\n', &line)) {
        struct pst_str options = {NULL, 0};
        bool here = false;
        for (int column = 1; pst_str_next(&line, ' ', &word); column++) {
            here = here || (column == 5 && pst_str_eq(word, PST_STR("/proc")));
            options = word; /* the last column: those of the file system */
        }
        if (!here)
            continue;
        hides = false; /* the last one mounted there is what is seen */
        while (pst_str_next(&options, ',', &option)) {
            uint64_t group;
            hides = hides || pst_str_eq(option, PST_STR("hidepid=2")) ||
                    pst_str_eq(option, PST_STR("hidepid=invisible")) ||
                    pst_str_eq(option, PST_STR("hidepid=4")) ||
                    pst_str_eq(option, PST_STR("hidepid=ptraceable"));
            if (pst_str_starts(option, PST_STR("gid=")) &&
                pst_str_u64((struct pst_str){option.ptr + 4, option.len - 4}, 10, UINT32_MAX,
                            &group) == 0)
                *ret_group = (int64_t)group;
        }
    }
    return hides;
}

static bool is_hidden(bool ptrace_capability)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));
    gid_t groups[256];
    int64_t group;

    pst_buf_init(&text, PST_MAX_MAPS_BYTES);
    if (ptrace_capability || pst_io_read_file(AT_FDCWD, "/proc/self/mountinfo", &text, true) < 0 ||
        !pst_rights_hidepid(pst_buf_view(&text), &group))
        return false;
    int count = getgroups(256, groups);
    for (int i = 0; i < count; i++)
        if ((int64_t)groups[i] == group)
            return false;
    return (int64_t)getegid() != group;
}

void pst_rights_read(struct pst_rights *ret)
{
    char text[16384];
    ssize_t len = pst_procfs_read(getpid(), "status", text, sizeof text);
    struct pst_str status = {text, len > 0 ? (size_t)len : 0}, field;
    uint64_t number;

    *ret = (struct pst_rights){.uid = geteuid(), .seccomp = -1};
    ret->ptrace_capability = hex_field(status, "CapEff") >> CAP_BIT_SYS_PTRACE & 1;
    if (pst_str_u64(status_field(status, "Seccomp"), 10, 9, &number) == 0)
        ret->seccomp = (int)number;
    field = status_field(status, "NoNewPrivs");
    ret->no_new_privs = pst_str_eq(field, PST_STR("1"));
    ret->hidden = is_hidden(ret->ptrace_capability);
    ret->yama = number_in("/proc/sys/kernel/yama/ptrace_scope", -1);
    ret->initial_user_namespace = is_initial("/proc/self/ns/user", INITIAL_USER_NAMESPACE);
    ret->initial_pid_namespace = is_initial("/proc/self/ns/pid", INITIAL_PID_NAMESPACE);
    ret->read_error = try_read(&ret->reads_by_file);
    len = pst_procfs_read(getpid(), "attr/current", ret->profile, sizeof ret->profile);
    ret->profile[len > 0 ? (size_t)len : 0] = 0;
    ret->profile[strcspn(ret->profile, "\n")] = 0;
}

/* The first obstacle in the order in which the kernel looks (__ptrace_may_access, then the LSMs).
 */
static const char *find_obstacle(const struct pst_rights *rights, struct pst_str own,
                                 struct pst_str status, uid_t owner, const char **ret_remedy)
{
    uint64_t extra = hex_field(status, "CapPrm") & ~hex_field(own, "CapPrm");

    *ret_remedy = "run as root, or grant CAP_SYS_PTRACE";
    if (rights->read_error != 0) {
        *ret_remedy = "allow process_vm_readv in the container's seccomp profile";
        return "a seccomp filter refuses process_vm_readv";
    }
    if (rights->yama == 3) {
        *ret_remedy = "boot with kernel.yama.ptrace_scope below 3";
        return "yama 3 forbids every read";
    }
    if (rights->ptrace_capability) {
        *ret_remedy = rights->initial_user_namespace
                          ? "allow ptrace in the policy of the LSM (AppArmor, SELinux)"
                          : "run in the host's user namespace";
        return rights->initial_user_namespace
                   ? "CAP_SYS_PTRACE is held, so a security module refuses"
                   : "CAP_SYS_PTRACE holds only inside this user namespace";
    }
    if (effective_uid(status_field(status, "Uid")) != rights->uid)
        return "it belongs to another user and CAP_SYS_PTRACE is missing";
    if (extra)
        return "it holds capabilities that this process lacks, and CAP_SYS_PTRACE is missing";
    if (owner != rights->uid)
        return "it is not dumpable (it changed its user or is set-user-id), and CAP_SYS_PTRACE is "
               "missing";
    if (rights->yama == 1) {
        *ret_remedy = "start it as `pystrobe agent -- PROGRAM`, set kernel.yama.ptrace_scope to 0, "
                      "or grant CAP_SYS_PTRACE";
        return "yama 1 allows only descendants, and CAP_SYS_PTRACE is missing";
    }
    if (rights->yama == 2)
        return "yama 2 asks for CAP_SYS_PTRACE";
    *ret_remedy = "allow ptrace in the policy of the LSM (AppArmor, SELinux)";
    return "a security module refuses";
}

void pst_rights_state(const struct pst_rights *rights, char *dst, size_t size)
{
    static const char *const filters[] = {"none", "strict", "a filter"};
    char yama[16] = "not there";

    if (rights->yama >= 0)
        (void)snprintf(yama, sizeof(yama), "%d", rights->yama);
    (void)snprintf(dst, size, "uid %u, CAP_SYS_PTRACE %s, yama %s, seccomp %s, LSM %s", rights->uid,
                   rights->ptrace_capability ? "held" : "missing", yama,
                   rights->seccomp >= 0 && rights->seccomp <= 2 ? filters[rights->seccomp]
                                                                : "unknown",
                   rights->profile[0] ? rights->profile : "without a label");
}

void pst_rights_explain(const struct pst_rights *rights, const char *call, pid_t pid,
                        struct pst_refusal *ret)
{
    char own[16384], status[16384], path[64], state[256];
    const char *remedy, *obstacle;
    struct stat info;
    ssize_t own_len = pst_procfs_read(getpid(), "status", own, sizeof own);
    ssize_t len = pst_procfs_read(pid, "status", status, sizeof status);

    /* A file in it: the folder itself keeps its user's name when the process is not dumpable. */
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    if (stat(path, &info) < 0)
        info.st_uid = rights->uid;
    obstacle =
        find_obstacle(rights, (struct pst_str){own, own_len > 0 ? (size_t)own_len : 0},
                      (struct pst_str){status, len > 0 ? (size_t)len : 0}, info.st_uid, &remedy);
    pst_rights_state(rights, state, sizeof(state));
    (void)snprintf(ret->why, sizeof(ret->why), "%s of %d is refused: %s (%s)", call, (int)pid,
                   obstacle, state);
    (void)snprintf(ret->remedy, sizeof(ret->remedy), "%s", remedy);
}

void pst_rights_refusal(const char *call, pid_t pid, struct pst_refusal *ret)
{
    struct pst_rights rights;

    pst_rights_read(&rights);
    pst_rights_explain(&rights, call, pid, ret);
}
