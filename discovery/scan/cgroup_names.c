/* Pods and units by the names of cgroups: kubelet's cgroupfs driver writes podUID, its systemd
 * driver SLICE-podUID.slice with _ for the dashes. */
#include "scan/cgroup_names.h"

#include "cgroup.h"

/* A UID, and the hash by which static pods are called. */
enum { SHORTEST_UID = 32, LONGEST_UID = 36 };

static bool is_uid_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-' || c == '_';
}

static bool is_uid(struct pst_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_uid_char(text.ptr[i]))
            return false;
    return text.len >= SHORTEST_UID && text.len <= LONGEST_UID;
}

/* "pod" and a UID at the end of a path component, in front of .slice. */
static bool component_uid(struct pst_str part, struct pst_str *ret)
{
    static const struct pst_str slice = {".slice", 6};

    part.len = pst_str_find(part, ':'); /* SLICE:PREFIX:ID */
    if (pst_str_ends(part, slice))
        part.len -= slice.len;
    for (size_t i = 0; i + 3 < part.len; i++) {
        struct pst_str rest = {part.ptr + i + 3, part.len - i - 3};
        if (memcmp(part.ptr + i, "pod", 3) != 0 || (i > 0 && part.ptr[i - 1] != '-') ||
            !is_uid(rest))
            continue;
        *ret = rest;
        return true;
    }
    return false;
}

struct pst_str pst_cgroup_pod_uid(struct pst_str text, char *dst, size_t size)
{
    struct pst_str line, part, found = {"", 0}, uid;

    while (pst_str_next(&text, '\n', &line))
        while (pst_str_next(&line, '/', &part))
            if (component_uid(part, &uid))
                found = uid;
    if (found.len >= size)
        found.len = 0;
    for (size_t i = 0; i < found.len; i++)
        dst[i] = found.ptr[i] == '_' ? '-' : found.ptr[i];
    return (struct pst_str){dst, found.len};
}

/* A pod inside of a container of another pod (a cluster in a pod) is its own. */
struct pst_str pst_cgroup_pod_container(struct pst_str text)
{
    struct pst_str line, part, uid, id, found = {"", 0};

    while (found.len == 0 && pst_str_next(&text, '\n', &line)) {
        bool in_pod = false;
        while (pst_str_next(&line, '/', &part)) {
            if (component_uid(part, &uid)) {
                in_pod = true;
                found.len = 0;
            }
            if (in_pod && found.len == 0 && pst_cgroup_component_id(part, &id))
                found = id;
        }
    }
    return found;
}

/* The path that was mounted: the fourth field. */
static struct pst_str mounted_path(struct pst_str line)
{
    struct pst_str field = {"", 0};

    for (int i = 0; i < 4; i++)
        if (!pst_str_next(&line, ' ', &field))
            return (struct pst_str){"", 0};
    return field;
}

void pst_mountinfo_pod(struct pst_str text, struct pst_str *ret_uid, struct pst_str *ret_container)
{
    struct pst_str line, uid, kind, name;

    while (pst_str_next(&text, '\n', &line)) {
        struct pst_str path = mounted_path(line);
        const char *at = memmem(path.ptr, path.len, "/pods/", 6);
        if (!at)
            continue;
        struct pst_str rest = {at + 6, path.len - (size_t)(at + 6 - path.ptr)};
        if (!pst_str_next(&rest, '/', &uid) || !is_uid(uid) || !pst_str_next(&rest, '/', &kind))
            continue;
        *ret_uid = uid;
        if (pst_str_eq(kind, PST_STR("containers")) && pst_str_next(&rest, '/', &name) &&
            name.len > 0)
            *ret_container = name;
    }
}

bool pst_cgroup_in_pod(struct pst_str text)
{
    char uid[40];

    return memmem(text.ptr ? text.ptr : "", text.len, "kubepods", 8) ||
           pst_cgroup_pod_uid(text, uid, sizeof(uid)).len > 0;
}

bool pst_cgroup_is_sibling(struct pst_str text)
{
    struct pst_str line;

    while (pst_str_next(&text, '\n', &line)) {
        size_t first = pst_str_find(line, ':');
        struct pst_str rest = {line.ptr + first, line.len - first};
        const char *path = memmem(rest.ptr, rest.len, ":/../", 5);
        if (!path)
            continue;
        struct pst_str below = {path + 5, (size_t)(rest.ptr + rest.len - (path + 5))};
        if (!pst_str_starts(below, PST_STR("..")))
            return true;
    }
    return false;
}

struct pst_str pst_cgroup_unit(struct pst_str text)
{
    struct pst_str line, part, unit = {"", 0}, id;

    if (pst_cgroup_container(text, &id))
        return unit;
    while (unit.len == 0 && pst_str_next(&text, '\n', &line)) {
        /* v2 or systemd's own hierarchy of v1: others may lag behind */
        if (!pst_str_starts(line, PST_STR("0::")) &&
            !memmem(line.ptr, line.len, ":name=systemd:", 14))
            continue;
        while (pst_str_next(&line, '/', &part))
            if (pst_str_ends(part, PST_STR(".service")) && !pst_str_starts(part, PST_STR("user@")))
                unit = part;
    }
    return unit;
}
